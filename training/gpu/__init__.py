"""Many architectures at once on one GPU: the trainers "graphs" and "stacked"; see docs/gpu.md.

`graphs` takes the cheap wins with PyTorch's own modules. `stacked` trains K architectures in one
program in which the architecture is data: `codes` (the op codes), `stacked` (the model), and its
two sets of functions, `functions` over the Triton `kernels` and `torch_ops` in plain PyTorch.
`capture` records the steps of both, `check` holds them to the plain network. `launches` lists what a
build starts, `variants` says which of it Triton compiles anew, and `precompile` does so ahead, into a
`kernel_cache`.
"""
