"""Limit on the number of nodes of an ONNX graph, once all calls of its functions are expanded."""

from collections.abc import Iterable

import onnx

from dlkd_core.errors import CheckpointRefused

MAX_NODES = 50_000
_MAX_FUNCTIONS = 100  # functions that call each other are counted by recursion
_Name = tuple[str, str]  # domain and name of a function


def check_node_count(model: onnx.ModelProto) -> None:
    """Check how many nodes a graph has, because onnxruntime expands the calls of functions.

    A few functions that call each other twice expand to more nodes than fit in memory.

    Raises:
        CheckpointRefused: There are too many nodes, or a function calls itself.
    """
    functions = {(function.domain, function.name): function for function in model.functions}
    if _Counter(functions).count(model.graph.node) > MAX_NODES:
        raise CheckpointRefused(
            f"The ONNX graph has more than {MAX_NODES} nodes, counting those of its functions for"
            " every call.",
            hint="Export the network without functions.",
        )


class _Counter:
    """Counts nodes. The counts of functions are kept, so each function is visited once."""

    def __init__(self, functions: dict[_Name, onnx.FunctionProto]) -> None:
        self._functions = functions
        self._counts: dict[_Name, int | None] = {}  # None while a function is being counted

    def count(self, nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(self._count_node(node) for node in nodes)

    def _count_node(self, node: onnx.NodeProto) -> int:
        graphs = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        graphs += [graph for attribute in node.attribute for graph in attribute.graphs]
        inner = sum(self.count(graph.node) for graph in graphs)
        name = node.domain, node.op_type
        return 1 + inner + (self._count_function(name) if name in self._functions else 0)

    def _count_function(self, name: _Name) -> int:
        if name not in self._counts:
            if len(self._counts) > _MAX_FUNCTIONS:
                raise CheckpointRefused(
                    f"The ONNX graph has more than {_MAX_FUNCTIONS} functions.",
                    hint="Export the network without functions.",
                )
            self._counts[name] = None
            self._counts[name] = self.count(self._functions[name].node)
        count = self._counts[name]
        if count is None:
            raise CheckpointRefused(
                f"The function {name[1]} of the ONNX graph calls itself.",
                hint="Export the network without functions.",
            )
        return count
