"""Linear functions as programs, traced once; all that does not depend on the vector is computed."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.const_fold import split_const_subgraphs
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.passes.dialect.common.cse_pass import CSEPass

from helpers.operators.base import Product
from helpers.operators.bfloat16 import is_faster

_BACKWARD = torch.ops.aten.convolution_backward.default
_MULTIPLICATIONS = (
    _BACKWARD,
    torch.ops.aten.convolution.default,
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.addmm.default,
)


def linearize(product: Product, u: Tensor, bfloat16: bool = False) -> tuple[Product, bool]:
    """A linear function of u, traced once, and whether it multiplies in bfloat16.

    It multiplies in bfloat16 on request, where that is faster here. All that does not depend on u
    is computed. torch.func.linearize does the same, but takes only one vector at a time, does twice
    what two losses have in common (in the Jacobian of a game, G's samples and D's view of them),
    and is wrong where a network writes in place.
    """
    # Without a common mode the tracer makes one for each node, which takes half of its time.
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        traced = make_fx(lambda v: product(v))(u)  # make_fx cannot trace a method
        if _writes_into_constants(traced):
            traced = _without_writes(traced, u)
    _share_constants(traced)
    traced = CSEPass().call(traced).graph_module
    traced.graph.eliminate_dead_code()
    rounded = bfloat16 and _multiply_in_bfloat16(traced)
    with warnings.catch_warnings():  # about constants that it has placed itself
        warnings.filterwarnings("ignore", "Attempted to insert a get_attr Node")
        return split_const_subgraphs(traced), rounded


def _writes_into_constants(traced: GraphModule) -> bool:
    """Whether an operation changes what does not depend on u, or u itself."""
    moving: set[Node] = set()
    for node in traced.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None and schema.is_mutable:
            named = dict(zip((a.name for a in schema.arguments), node.args, strict=False))
            named |= node.kwargs
            written = [
                named.get(argument.name)
                for argument in schema.arguments
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            if not all(isinstance(each, Node) and each in moving for each in written):
                return True
        if any(each.op == "placeholder" or each in moving for each in node.all_input_nodes):
            moving.add(node)
    return False


def _without_writes(traced: GraphModule, u: Tensor) -> GraphModule:
    """The same program without operations in place.

    Computed once, what they write into would be a constant that every product writes into again.
    The network's own operations in place do that, as do some of torch's own formulas
    (torch.func.linearize has this fault too). Functionalization removes views and writes of
    inputs, so constants become inputs while it runs.
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
    # In the order of the graph's inputs: each was put right after u.
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
    """Merge constants that are one tensor, each use of which is traced as a new one."""
    first: dict[tuple[Any, ...], Node] = {}
    for node in list(traced.graph.nodes):
        held = getattr(traced, node.target) if node.op == "get_attr" else None
        if isinstance(held, Tensor) and held.numel():
            key = (held.data_ptr(), held.shape, held.stride(), held.dtype)
            if key in first:
                node.replace_all_uses_with(first[key])
                traced.graph.erase_node(node)
            first.setdefault(key, node)


def _multiply_in_bfloat16(traced: GraphModule) -> bool:
    """Round what enters the convolutions and matrix products that u takes part in, if it pays."""
    graph, to = traced.graph, torch.ops.aten._to_copy.default
    dtype = next(node.meta["val"].dtype for node in graph.nodes if node.op == "placeholder")
    moving = {node for node in graph.nodes if node.op == "placeholder"}
    multiplications = []
    for node in graph.nodes:
        if moving.intersection(node.all_input_nodes):
            moving.add(node)
            if node.target in _MULTIPLICATIONS:
                multiplications.append(node)
    if not is_faster(traced, multiplications, moving):
        return False
    for node in multiplications:
        results = [node] if node.target is not _BACKWARD else list(node.users)
        for each in results:
            with graph.inserting_after(each):
                back = graph.call_function(to, (each,), {"dtype": dtype})
            each.replace_all_uses_with(back, lambda user, back=back: user is not back)
        for source in node.all_input_nodes:
            with graph.inserting_before(node):
                node.replace_input_with(
                    source, graph.call_function(to, (source,), {"dtype": torch.bfloat16})
                )
    traced.recompile()
    return True
