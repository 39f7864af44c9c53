"""The network in PyTorch: tensors in memory, a loop over batches, the fused SGD."""

import numpy as np
import torch
from torch import nn

from bnbench.experiments import architecture
from bnbench.experiments.architecture import Layer
from tests.benchmarks.peers.task import Program, Task

ACTIVATIONS = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh, "selu": nn.SELU}


class Torch(Program):
    """A `Sequential` that ends in logits, trained on the cross entropy."""

    def __init__(self, task: Task, compiled: bool) -> None:
        super().__init__(task)
        self.network = nn.Sequential(*(m for layer in task.layers for m in _modules(layer, task)))
        self.network.train()
        self._x = torch.from_numpy(task.images)
        self._y = torch.from_numpy(task.data.y_train.astype(np.int64))
        training = task.config.training
        self._optimizer = torch.optim.SGD(
            self.network.parameters(), training.learning_rate, fused=True
        )
        self._forward = torch.compile(self._loss_and_hits, dynamic=False)
        if not compiled:
            self._forward = self._loss_and_hits

    def _loss_and_hits(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = self.network(x)
        hits = (logits.detach().argmax(dim=1) == y).sum()
        return nn.functional.cross_entropy(logits, y), hits

    def train(self, order: np.ndarray) -> float:
        loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for batch in torch.from_numpy(order).split(self.task.batch_size):
            loss, batch_hits = self._forward(self._x[batch], self._y[batch])
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad()
            loss_sum += loss.detach() * len(batch)
            hits += batch_hits
        return float(loss_sum) / len(order)

    def loss(self, rows: np.ndarray) -> float:
        chosen = torch.from_numpy(rows)
        with torch.no_grad():
            return float(self._loss_and_hits(self._x[chosen], self._y[chosen])[0])

    def warm_up(self) -> None:
        batch = self.task.batch_size
        few = batch * 100 + self.task.rows % batch  # both sizes of batch are compiled
        self.train(self._draws.permutation(min(few, self.task.rows)))


def _modules(layer: Layer, task: Task) -> list[nn.Module]:
    weights = {
        variable.role: torch.from_numpy(task.weights[f"{layer.name}/{variable.role}"].copy())
        for variable in layer.variables
    }
    match layer:
        case architecture.Flatten():
            return []
        case architecture.Dense():
            linear = nn.Linear(layer.inputs, layer.output_shape[-1], bias=layer.use_bias)
            linear.weight = nn.Parameter(weights["kernel"].T.contiguous())
            if layer.use_bias:
                linear.bias = nn.Parameter(weights["bias"])
            return [linear, *_activation(layer.activation)]
        case architecture.BatchNormalization():
            norm = nn.BatchNorm1d(
                layer.output_shape[-1], eps=layer.epsilon, momentum=1 - layer.momentum
            )
            return [norm]  # gamma one, beta zero, as Keras starts
        case architecture.Activation():
            return _activation(layer.activation)
    raise TypeError(f"no PyTorch module for {layer}")


def _activation(name: str) -> list[nn.Module]:
    return [] if name in ("linear", "softmax") else [ACTIVATIONS[name]()]  # softmax: in the loss


def make(name: str, task: Task) -> Torch:
    """Build the network, compiled where the name says so."""
    return Torch(task, compiled="compiled" in name)
