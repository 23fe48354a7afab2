"""Layers that share a threshold are of one network, and of one kind where kinds have budgets."""

from ticketlab.tickets.scope import groups, network_of

KINDS = {
    "generator.l1.weight": "linear",
    "critic.c1.weight": "conv",
    "generator.c1.weight": "conv",
    "generator.c2.weight": "conv",
    "critic.l5.weight": "linear",
}


def test_global_is_per_network() -> None:
    assert groups(KINDS, "global", by_kind=False) == [
        ("generator.l1.weight", "generator.c1.weight", "generator.c2.weight"),
        ("critic.c1.weight", "critic.l5.weight"),
    ]


def test_kinds_are_never_mixed_where_they_have_budgets() -> None:
    assert groups(KINDS, "global", by_kind=True) == [
        ("generator.l1.weight",),
        ("critic.c1.weight",),
        ("generator.c1.weight", "generator.c2.weight"),
        ("critic.l5.weight",),
    ]


def test_layer_scope_puts_every_layer_alone() -> None:
    for by_kind in (False, True):
        assert groups(KINDS, "layer", by_kind=by_kind) == [(name,) for name in KINDS]


def test_the_network_is_the_first_part_of_the_name() -> None:
    assert network_of("generator.block2.c1.weight") == "generator"
