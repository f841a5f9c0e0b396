import torch

from pipelines.models import Adapter


def test_passes_through_the_bottleneck():
    adapter = Adapter().eval()
    assert [tuple(p.shape) for p in adapter.parameters()] == [(256, 512), (256,), (512, 256), (512,)]
    jacobian = torch.autograd.functional.jacobian(adapter, torch.randn(1, 512))
    assert isinstance(jacobian, torch.Tensor)
    assert torch.linalg.matrix_rank(jacobian.reshape(512, 512)) <= 256
