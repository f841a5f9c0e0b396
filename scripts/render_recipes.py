"""Write the shipped recipes again, so that every setting is there with the comment of its settings class.

Values are kept; new settings appear with their defaults. `tests/recipe/test_loading.py` fails until this was run.
"""

from pipelines.recipe.loading import SHIPPED, load_recipe, render_recipe, shipped_recipes

for name in shipped_recipes():
    (SHIPPED / f"{name}.yaml").write_text(render_recipe(load_recipe(name)), encoding="utf-8")
    print(SHIPPED / f"{name}.yaml")
