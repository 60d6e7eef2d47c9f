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
    private const string Operation = "AdamwUpdate.Apply";

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
        Require.Floats(Operation, "parameter", parameter);
        Require.SameShape(Operation, "gradient", gradient, parameter);
        Require.SameShape(Operation, "m", m, parameter);
        Require.SameShape(Operation, "v", v, parameter);
        Rates rates = Rates.Of(learningRate, beta1, beta2, eps, weightDecay, step, gradientScale);
        if (parameter.Device is CpuDevice cpu) ApplyCpu(cpu, parameter, gradient, m, v, rates);
        else if (parameter.Device is CudaDevice cuda) ApplyCuda(cuda, parameter, gradient, m, v, rates);
        else throw Require.NoSuchDevice(Operation, parameter.Device);
    }

    /// <summary>
    /// The same with moments in 8 bits. They are widened, updated in f32, and the parameter moves by the f32 moments; only what is kept is rounded, to the nearest
    /// value of the map. A second moment above zero never becomes zero: m/√v would explode.
    /// </summary>
    /// <param name="parameter">p, f32.</param>
    /// <param name="gradient">Like p; read only.</param>
    /// <param name="m">First moment, its map <see cref="DynamicMap.Signed"/>.</param>
    /// <param name="v">Second moment, its map <see cref="DynamicMap.Unsigned"/>.</param>
    /// <param name="learningRate">lr.</param>
    /// <param name="beta1">β1.</param>
    /// <param name="beta2">β2.</param>
    /// <param name="eps">ε.</param>
    /// <param name="weightDecay">wd.</param>
    /// <param name="step">t, counted from 1.</param>
    /// <param name="gradientScale">Multiplies the gradient first (clipping).</param>
    public static void Apply(
        TensorView parameter, TensorView gradient, QuantizedMoment m, QuantizedMoment v, float learningRate, float beta1, float beta2, float eps,
        float weightDecay, int step, float gradientScale)
    {
        Require.Floats(Operation, "parameter", parameter);
        Require.SameShape(Operation, "gradient", gradient, parameter);
        m.Check(Operation, "m", parameter);
        v.Check(Operation, "v", parameter);
        Rates rates = Rates.Of(learningRate, beta1, beta2, eps, weightDecay, step, gradientScale);
        if (parameter.Device is CpuDevice cpu) ApplyCpu(cpu, parameter, gradient, m, v, rates);
        else if (parameter.Device is CudaDevice cuda) ApplyCuda(cuda, parameter, gradient, m, v, rates);
        else throw Require.NoSuchDevice(Operation, parameter.Device);
    }

    /// <summary>The scalars of a step, corrected for the bias of early moments.</summary>
    private readonly record struct Rates(float Keep, float StepSize, float RootScale, float Beta1, float Beta2, float Eps, float GradientScale)
    {
        public static Rates Of(float learningRate, float beta1, float beta2, float eps, float weightDecay, int step, float gradientScale)
        {
            Require.That(step >= 1, Operation, $"step counts from 1, got {step}");
            return new Rates(
                (float)(1 - (double)learningRate * weightDecay),
                (float)(learningRate / (1 - Math.Pow(beta1, step))),
                (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))),
                beta1, beta2, eps, gradientScale);
        }
    }
}
