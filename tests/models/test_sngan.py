import pytest
import torch
import torch.nn.functional as F

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import SpecError
from ticketlab.models.build import build
from ticketlab.models.entering import Generates, input_shape
from ticketlab.randomness import Key
from ticketlab.spec.model import Sngan

SMALL = Sngan(width=6, critic_width=5, latent=8)


def small(size=32, channels=3):
    networks = build(SMALL, ImageShape(channels, size, 10), Key(1))
    return networks["generator"].double(), networks["critic"].double()


def test_counts_at_the_published_widths():
    with torch.device("meta"):
        networks = build(Sngan(), ImageShape(3, 32, 10), Key(0))
    assert sum(p.numel() for p in networks["generator"].parameters()) == 4_276_739
    assert sum(p.numel() for p in networks["critic"].parameters()) == 1_053_824
    for network, conv_weights in (("generator", 3_742_464), ("critic", 1_052_416)):
        assert sum(p.numel() for p in networks[network].parameters() if p.dim() == 4) == conv_weights


def test_parameters_have_the_published_names_and_shapes_in_order():
    with torch.device("meta"):
        networks = build(Sngan(), ImageShape(3, 32, 10), Key(0))
    generator = [("l1.weight", (4096, 128)), ("l1.bias", (4096,))]
    for block in ("block2", "block3", "block4"):
        for conv in ("c1", "c2"):
            generator += [(f"{block}.{conv}.weight", (256, 256, 3, 3)), (f"{block}.{conv}.bias", (256,))]
        for norm in ("b1", "b2"):
            generator += [(f"{block}.{norm}.weight", (256,)), (f"{block}.{norm}.bias", (256,))]
        generator += [(f"{block}.c_sc.weight", (256, 256, 1, 1)), (f"{block}.c_sc.bias", (256,))]
    generator += [("b5.weight", (256,)), ("b5.bias", (256,)), ("c5.weight", (3, 256, 3, 3)), ("c5.bias", (3,))]
    critic = []
    for block, entering in (("block1", 3), ("block2", 128), ("block3", 128), ("block4", 128)):
        shapes = {"c1": (128, entering, 3, 3), "c2": (128, 128, 3, 3), "c_sc": (128, entering, 1, 1)}
        for conv, shape in shapes.items():
            if conv != "c_sc" or block in ("block1", "block2"):
                critic += [(f"{block}.{conv}.bias", (128,)), (f"{block}.{conv}.weight_orig", shape)]
    critic += [("l5.weight_orig", (1, 128))]
    for network, expected in (("generator", generator), ("critic", critic)):
        assert [(name, tuple(p.shape)) for name, p in networks[network].named_parameters()] == expected


@pytest.mark.parametrize(("size", "grid", "last"), [(32, 4, 5), (48, 6, 5), (64, 4, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_makes_and_judges_images_of_its_shape(size, grid, last, channels):
    generator, critic = small(size, channels)
    noise = torch.randn(2, 8, dtype=torch.float64)
    images = generator(noise)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert generator.latent == 8
    assert generator.project(noise).shape == (2, 6, grid, grid)
    assert {f"b{last}", f"c{last}"} <= {name for name, _ in generator.named_children()}
    assert critic(images).shape == (2, 1)
    assert critic.features(images).shape == (2, 5)
    assert [name for name, _ in critic.named_children()][-1] == f"l{last}"


def test_a_64_pixel_generator_has_one_block_more():
    with torch.device("meta"):
        generator = build(Sngan(), ImageShape(3, 64, 10), Key(0))["generator"]
    norms = [layer for layer in generator.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(norms) == 9
    block = 2 * (9 * 256**2 + 256) + 256**2 + 256
    outside_norms = 129 * 4096 + 4 * block + 3 * (9 * 256 + 1)
    assert sum(p.numel() for p in generator.parameters()) - 9 * 2 * 256 == outside_norms == 5_519_107


def test_the_generator_is_the_one_written_out_operation_by_operation():
    generator, _ = small()
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    generator.eval()
    s = generator.state_dict()

    def norm(x, name):
        return F.batch_norm(x, *(s[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    def conv(x, name):
        return F.conv2d(x, s[f"{name}.weight"], s[f"{name}.bias"], padding="same")

    def double(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    noise = torch.randn(3, 8, dtype=torch.float64)
    x = F.linear(noise, s["l1.weight"], s["l1.bias"]).view(3, 6, 4, 4)
    for block in ("block2", "block3", "block4"):
        h = conv(double(norm(x, f"{block}.b1").clamp_min(0)), f"{block}.c1")
        h = conv(norm(h, f"{block}.b2").clamp_min(0), f"{block}.c2")
        x = h + conv(double(x), f"{block}.c_sc")
    torch.testing.assert_close(generator(noise), torch.tanh(conv(norm(x, "b5").clamp_min(0), "c5")))


def test_the_critic_is_the_one_written_out_operation_by_operation():
    _, critic = small()
    critic.eval()
    s = critic.state_dict()

    def weight(name):
        raw = s[f"{name}.weight_orig"]
        return raw / (s[f"{name}.weight_u"] @ raw.flatten(1) @ s[f"{name}.weight_v"])

    def conv(x, name):
        return F.conv2d(x, weight(name), s[f"{name}.bias"], padding="same")

    def halve(x):
        return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4

    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    x = halve(conv(conv(images, "block1.c1").clamp_min(0), "block1.c2")) + conv(halve(images), "block1.c_sc")
    for block in ("block2", "block3", "block4"):
        h = conv(conv(x.clamp_min(0), f"{block}.c1").clamp_min(0), f"{block}.c2")
        x = halve(h) + halve(conv(x, f"{block}.c_sc")) if block == "block2" else h + x
    features = x.clamp_min(0).sum((2, 3))
    torch.testing.assert_close(critic.features(images), features)
    torch.testing.assert_close(critic(images), features @ weight("l5").t())
    torch.testing.assert_close(critic(images), critic.head(critic.features(images)))


def test_project_and_grow_are_the_generator_in_two_halves():
    generator, _ = small()
    noise = torch.randn(4, 8, dtype=torch.float64)
    generator.eval()
    assert torch.equal(generator.grow(generator.project(noise)), generator(noise))


def test_the_start_is_xavier_for_convolutions_and_near_one_for_norms():
    networks = build(Sngan(width=32, critic_width=32), ImageShape(3, 32, 10), Key(1))
    generator, critic = networks["generator"], networks["critic"]
    bound = (6 / (2 * 32 * 9)) ** 0.5
    for weight in (generator.block2.c1.weight, critic.block2.c1.weight_orig):
        assert 0.99 * bound < weight.abs().max() <= bound
    assert 0.99 * 128**-0.5 < generator.l1.weight.abs().max() <= 128**-0.5
    scales = torch.cat([m.weight for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert scales.mean().item() == pytest.approx(1, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.25)
    assert not generator.block2.b1.bias.any()
    assert generator.block2.c1.bias.abs().max() <= (32 * 9) ** -0.5
    assert critic.block2.c1.bias.any()


def test_other_sizes_are_refused_with_the_allowed_ones():
    with pytest.raises(SpecError, match="32, 48 or 64"):
        build(SMALL, ImageShape(3, 28, 10), Key(1))


def test_a_generator_draws_what_it_is_fed_and_says_its_shape() -> None:
    generator = build(Sngan(width=4, critic_width=4, latent=7), ImageShape(1, 32, 10), Key(0))["generator"]
    assert isinstance(generator, Generates)
    (first,) = generator.entering(5, Key(3))
    assert first.shape == (5, 7)
    assert torch.equal(generator.entering(5, Key(3))[0], first)
    assert not torch.equal(generator.entering(5, Key(4))[0], first)
    assert input_shape(generator, ImageShape(1, 32, 10)) == (7,)
