"""Layer descriptions to a Keras model, one to one, and its weights from a seed."""

import hashlib

import keras

from bnbench.experiments import architecture


def build(layers: tuple[architecture.Layer, ...], features: int) -> keras.Model:
    """Return the Keras model on rows of ``features`` numbers; its layers have our layers' names."""
    return keras.Sequential(
        [keras.Input((features,)), *(_keras_layer(layer) for layer in layers)], name="bnbench"
    )


def _keras_layer(layer: architecture.Layer) -> keras.Layer:
    match layer:
        case architecture.Dense():
            return keras.layers.Dense(
                layer.output_shape[-1],
                activation=layer.activation,
                use_bias=layer.use_bias,
                kernel_initializer=layer.kernel_initializer,
                name=layer.name,
            )
        case architecture.BatchNormalization():
            return keras.layers.BatchNormalization(
                momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name
            )
        case architecture.Activation():
            return keras.layers.Activation(layer.activation, name=layer.name)
        case architecture.Flatten():
            return keras.layers.Flatten(name=layer.name)
    raise TypeError(f"no Keras layer for {layer}")


def seeded_kernel(layer: architecture.Dense, seed: int) -> keras.KerasTensor:
    """Return the layer's first kernel: float32 (inputs, units), from seed and layer name alone.

    Networks that share a layer of this name, shape and initializer so start from equal numbers.
    """
    digest = hashlib.sha256(f"{seed}/{layer.name}".encode()).digest()
    config = {"seed": int.from_bytes(digest[:4], "big") >> 1}
    initializer = keras.initializers.get({"class_name": layer.kernel_initializer, "config": config})
    return initializer(layer.variables[0].shape, dtype="float32")


def weights_sha256(model: keras.Model) -> str:
    """Return the SHA-256 over path, shape and float32 bytes of every variable, in model order."""
    digest = hashlib.sha256()
    for variable in model.variables:
        array = variable.numpy()
        # Without the model's name, as Keras builds a model from a file.
        path = f"{model.name}/{variable.path.removeprefix(f'{model.name}/')}"
        digest.update(f"{path} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()
