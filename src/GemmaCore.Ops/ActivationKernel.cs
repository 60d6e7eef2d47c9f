using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>A kernel with one specialisation for each <see cref="Activation"/>.</summary>
internal sealed class ActivationKernel(string file, string entry)
{
    private readonly CudaKernel _geluTanh = new(file, entry, "-DACTIVATION=gelu_tanh");
    private readonly CudaKernel _silu = new(file, entry, "-DACTIVATION=silu");
    private readonly CudaKernel _quickGelu = new(file, entry, "-DACTIVATION=quick_gelu");

    /// <summary>The specialisation; an unknown activation is refused in the name of <paramref name="operation"/>.</summary>
    public CudaKernel For(Activation activation, string operation) => activation switch
    {
        Activation.GeluTanh => _geluTanh,
        Activation.Silu => _silu,
        Activation.QuickGelu => _quickGelu,
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, $"{operation}: unknown activation"),
    };
}
