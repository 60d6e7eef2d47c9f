using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>y[t, o] = y[t, o] · scale[o] + bias[o], in place: the magnitudes of DoRA at inference (arXiv:2402.09353). There is no backward pass.</summary>
public static partial class ScaleColumns
{
    /// <summary>Scales columns in place.</summary>
    /// <param name="y">[T, O] f32.</param>
    /// <param name="scale">[O] f32.</param>
    /// <param name="bias">[O] f32, or default.</param>
    public static void Forward(TensorView y, TensorView scale, TensorView bias)
    {
        const string operation = "ScaleColumns.Forward";
        Require.Floats(operation, "y", y);
        Require.Shape(operation, "scale", scale, new Shape(y.Shape.Columns));
        if (!bias.IsEmpty) Require.Shape(operation, "bias", bias, new Shape(y.Shape.Columns));
        if (y.Device is CpuDevice cpu) ForwardCpu(cpu, y, scale, bias);
        else if (y.Device is CudaDevice cuda) ForwardCuda(cuda, y, scale, bias);
        else throw Require.NoSuchDevice(operation, y.Device);
    }
}
