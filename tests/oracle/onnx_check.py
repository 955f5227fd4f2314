"""onnx_check.py SAMPLES.npy PREDICTIONS.npy MODEL.onnx...

PREDICTIONS is what `nas-eval --npy` wrote: (models, samples, outputs). Each model passes onnx.checker with its shapes
inferred, has no constant that nothing reads, and says in ONNX Runtime what nas-eval said, within 1e-5 of its largest
prediction; of one sample alone, too: the batch axis is free.
"""
import sys

import numpy
import onnx
import onnxruntime

samples = numpy.load(sys.argv[1]).astype(numpy.float32)
if samples.ndim == 3:  # (samples, channels, length): of height 1
    samples = samples[:, :, None]
everything = numpy.load(sys.argv[2])
assert len(everything) == len(sys.argv) - 3, f"{len(everything)} networks, {len(sys.argv) - 3} models"
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
for path, said in zip(sys.argv[3:], everything):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    used = {name for node in model.graph.node for name in node.input}
    unused = [t.name for t in model.graph.initializer if t.name not in used]
    assert not unused, f"{path}: constants that nothing reads: {unused[:3]}"
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    got = session.run(["predictions"], {"input": samples})[0]
    one = session.run(["predictions"], {"input": samples[:1]})[0]
    assert got.shape == said.shape, f"{path}: shape {got.shape}, that of nas-eval is {said.shape}"
    worst = max(numpy.abs(got - said).max(), numpy.abs(one - said[:1]).max()) / numpy.abs(said).max()
    print(f"{path}: {len(model.graph.node)} nodes, off by {worst:.1e}")
    assert worst < 1e-5, f"{path}: off by {worst}"
