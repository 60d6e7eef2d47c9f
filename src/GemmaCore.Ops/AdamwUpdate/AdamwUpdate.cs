using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// One AdamW update (arXiv:1711.05101), in the order of torch.optim.AdamW: decay, moments, bias-corrected step.
/// </summary>
/// <remarks>
/// p ← p·(1 − lr·wd); m ← β1·m + (1−β1)·g; v ← β2·v + (1−β2)·g²; p ← p − lr/(1−β1ᵗ) · m / (√v/√(1−β2ᵗ) + ε), with g the scaled gradient.
/// </remarks>
public static partial class AdamwUpdate
{
    /// <summary>Updates parameter and moments in place.</summary>
    /// <param name="parameter">p, f32.</param>
    /// <param name="gradient">Like p; read only.</param>
    /// <param name="m">First moment, like p.</param>
    /// <param name="v">Second moment, like p.</param>
    /// <param name="learningRate">lr.</param>
    /// <param name="beta1">β1.</param>
    /// <param name="beta2">β2.</param>
    /// <param name="eps">ε.</param>
    /// <param name="weightDecay">wd.</param>
    /// <param name="step">t, counted from 1.</param>
    /// <param name="gradientScale">Multiplies the gradient first (clipping).</param>
    public static void Apply(
        TensorView parameter, TensorView gradient, TensorView m, TensorView v, float learningRate, float beta1, float beta2, float eps, float weightDecay,
        int step, float gradientScale)
    {
        const string operation = "AdamwUpdate.Apply";
        Require.Floats(operation, "parameter", parameter);
        Require.SameShape(operation, "gradient", gradient, parameter);
        Require.SameShape(operation, "m", m, parameter);
        Require.SameShape(operation, "v", v, parameter);
        Require.That(step >= 1, operation, $"step counts from 1, got {step}");
        var rates = new Rates(
            (float)(1 - (double)learningRate * weightDecay),
            (float)(learningRate / (1 - Math.Pow(beta1, step))),
            (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))),
            beta1, beta2, eps, gradientScale);
        if (parameter.Device is CpuDevice cpu) ApplyCpu(cpu, parameter, gradient, m, v, rates);
        else if (parameter.Device is CudaDevice cuda) ApplyCuda(cuda, parameter, gradient, m, v, rates);
        else throw Require.NoSuchDevice(operation, parameter.Device);
    }

    /// <summary>The scalars of a step, corrected for the bias of early moments.</summary>
    private readonly record struct Rates(float Keep, float StepSize, float RootScale, float Beta1, float Beta2, float Eps, float GradientScale);
}
