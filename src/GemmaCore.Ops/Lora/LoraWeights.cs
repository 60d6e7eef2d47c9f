using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>One low-rank addition to a linear layer (arXiv:2106.09685): ΔW = Scale·B·A.</summary>
public sealed class LoraWeights
{
    /// <summary>[R, K] f32.</summary>
    public required TensorView A { get; init; }

    /// <summary>[O, R] f32.</summary>
    public required TensorView B { get; init; }

    /// <summary>Like A; accumulates. Default when the addition is frozen.</summary>
    public TensorView GradientA { get; init; }

    /// <summary>Like B; accumulates. Default when the addition is frozen.</summary>
    public TensorView GradientB { get; init; }

    /// <summary>alpha / R.</summary>
    public required float Scale { get; init; }

    /// <summary>Probability of dropping an element of the input in training, 0 ≤ Dropout &lt; 1.</summary>
    public float Dropout { get; init; }

    /// <summary>Distinguishes the dropout masks of the additions of one model.</summary>
    public int Id { get; init; }

    /// <summary>True when gradients of A and B are wanted.</summary>
    public bool IsTrainable => !GradientA.IsEmpty;
}
