"""The command line; trainings save their state after every epoch, and wait as long as MTPKD_PAUSE_S says.

python team_child.py COMMAND ...        alone, under torchrun, or started again by Fabric
"""

import os
import time

from mtpkd_cli.main import main
from pipelines.training import loop

if __name__ == "__main__":
    loop.SAVE_EVERY_S = 0.0
    observe = loop._observe

    def slowly(*arguments, **options):
        time.sleep(float(os.environ.get("MTPKD_PAUSE_S", "0")))
        return observe(*arguments, **options)

    loop._observe = slowly
    main()
