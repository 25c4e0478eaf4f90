"""Linear functions as programs, traced once, with all that does not depend on the vector."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.const_fold import split_const_subgraphs
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.passes.dialect.common.cse_pass import CSEPass

from helpers.operators.base import Product

_BACKWARD = torch.ops.aten.convolution_backward.default
_MULTIPLICATIONS = (
    _BACKWARD,
    torch.ops.aten.convolution.default,
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.addmm.default,
)


def linearize(product: Product, u: Tensor, preview: bool = False) -> Product:
    """A linear function of u, traced once, with all that does not depend on u computed.

    What torch.func.linearize does, which knows one vector at a time only, and does twice what two
    losses have in common: in the Jacobian of a game, G's samples and D's view of them.
    """
    traced = make_fx(lambda v: product(v))(u)  # it cannot trace a method
    if any(_writes(node) for node in traced.graph.nodes):
        traced = _without_writes(traced, u)
    _share_constants(traced)
    traced = CSEPass()(traced).graph_module
    traced.graph.eliminate_dead_code()
    if preview:
        _multiply_in_bfloat16(traced)
    with warnings.catch_warnings():  # of constants that it has placed itself
        warnings.filterwarnings("ignore", "Attempted to insert a get_attr Node")
        return split_const_subgraphs(traced)


def _writes(node: Node) -> bool:
    """Whether an operation changes one of its inputs."""
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and schema.is_mutable


def _without_writes(traced: GraphModule, u: Tensor) -> GraphModule:
    """The same program without operations in place.

    Computed once, what they write into would be a constant that every product writes into again:
    the network's own operations in place do that, and some of torch's own formulas
    (torch.func.linearize has the fault, too). Functionalization takes views and writes out, of
    inputs: so constants become inputs for the time of it.
    """
    graph = traced.graph
    constants: dict[str, Tensor] = {}
    inputs: dict[str, Node] = {}
    first = next(node for node in graph.nodes if node.op == "placeholder")
    for node in list(graph.nodes):
        if node.op != "get_attr":
            continue
        if node.target not in constants:
            constants[node.target] = getattr(traced, node.target)
            with graph.inserting_after(first):
                inputs[node.target] = graph.placeholder(f"constant_{len(constants)}")
        node.replace_all_uses_with(inputs[node.target])
        graph.erase_node(node)
    # In the order of the graph's inputs: each was put right behind u.
    held = [constants[name] for name in reversed(constants)]
    traced.recompile()
    pure = make_fx(functionalize(traced, remove="mutations_and_views"))(u, *held)
    given = [node for node in pure.graph.nodes if node.op == "placeholder"][1:]
    for number, (node, tensor) in enumerate(zip(given, held, strict=True)):
        name = f"_held_{number}"
        pure.register_buffer(name, tensor)
        with pure.graph.inserting_before(node):
            node.replace_all_uses_with(pure.graph.get_attr(name))
        pure.graph.erase_node(node)
    pure.recompile()
    return pure


def _share_constants(traced: GraphModule) -> None:
    """Make one of those that are one tensor: each use of it is traced as another."""
    first: dict[tuple, Node] = {}
    for node in list(traced.graph.nodes):
        held = getattr(traced, node.target) if node.op == "get_attr" else None
        if isinstance(held, Tensor) and held.numel():
            key = (held.data_ptr(), held.shape, held.stride(), held.dtype)
            if key in first:
                node.replace_all_uses_with(first[key])
                traced.graph.erase_node(node)
            first.setdefault(key, node)


def _multiply_in_bfloat16(traced: GraphModule) -> None:
    """Round what enters the convolutions and matrix products that u takes part in."""
    graph, to = traced.graph, torch.ops.aten._to_copy.default
    dtype = next(node.meta["val"].dtype for node in graph.nodes if node.op == "placeholder")
    moving = {node for node in graph.nodes if node.op == "placeholder"}
    for node in list(graph.nodes):
        if not moving.intersection(node.all_input_nodes):
            continue
        moving.add(node)
        if node.target not in _MULTIPLICATIONS:
            continue
        results = [node] if node.target is not _BACKWARD else list(node.users)
        for each in results:
            with graph.inserting_after(each):
                back = graph.call_function(to, (each,), {"dtype": dtype})
            each.replace_all_uses_with(back, lambda user, back=back: user is not back)
            moving.add(back)
        for source in node.all_input_nodes:
            with graph.inserting_before(node):
                node.replace_input_with(
                    source, graph.call_function(to, (source,), {"dtype": torch.bfloat16})
                )
    traced.recompile()
