import torch

from pipelines.models import Head


@torch.no_grad()
def test_is_linear_in_evaluation_and_drops_in_training():
    head = Head(32, 3, dropout=0.5)
    x = torch.randn(4, 32)
    assert not torch.equal(head(x), head(x))
    head.eval()
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)
