"""What `nb201env.training.gpu.check` runs: parts hold GPU programs to the plain network, tensor by tensor.

`rounded` makes the plain modules round where a program stores, so that what is left to tolerate is
small; `findings` compares and keeps the worst; `blocks` has the parts about kernels, `networks` those
about whole networks and recorded steps.
"""
