using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Vision;

/// <summary>
/// One layer of a vision transformer: full attention and a two-layer perceptron, each behind a LayerNorm (arXiv:2010.11929). SigLIP and CLIP
/// differ only in the activation.
/// </summary>
public sealed class VisionBlock
{
    /// <summary>Before attention: [D] gain and bias.</summary>
    public required (TensorView Weight, TensorView Bias) LayerNorm1 { get; init; }

    /// <summary>Before the perceptron: [D] gain and bias.</summary>
    public required (TensorView Weight, TensorView Bias) LayerNorm2 { get; init; }

    /// <summary>[D] → [D].</summary>
    public required Linear QProj { get; init; }

    /// <summary>[D] → [D].</summary>
    public required Linear KProj { get; init; }

    /// <summary>[D] → [D].</summary>
    public required Linear VProj { get; init; }

    /// <summary>[D] → [D].</summary>
    public required Linear OutProj { get; init; }

    /// <summary>[D] → [F].</summary>
    public required Linear Fc1 { get; init; }

    /// <summary>[F] → [D].</summary>
    public required Linear Fc2 { get; init; }

    /// <summary>Function between the two.</summary>
    public required Activation Activation { get; init; }

    /// <summary>N.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Epsilon of the norms.</summary>
    public required float NormEps { get; init; }

    /// <summary>x [images · tokens, D] in, y like x out; the tokens of one image see each other and no others.</summary>
    public void Forward(TensorView x, VisionStep step, TensorView y, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(step);
        Arena arena = step.Arena;
        int t = x.Shape[0], d = x.Shape[1];
        TensorView h = arena.Take(x.Shape), q = arena.Take(x.Shape), k = arena.Take(x.Shape), v = arena.Take(x.Shape);
        TensorView heads = arena.Take(x.Shape), a = arena.Take(x.Shape), middle = arena.Take(x.Shape); // all [T, D]
        LayerNorm.Forward(x, LayerNorm1.Weight, LayerNorm1.Bias, NormEps, h, tape);
        QProj.Forward(h, q, arena, tape);
        KProj.Forward(h, k, arena, tape);
        VProj.Forward(h, v, arena, tape);

        var split = new Shape(t, HeadCount, d / HeadCount); // [T, N, H]
        TensorView lse = tape is null ? default : arena.Take(new Shape(t, HeadCount));
        float scale = 1 / MathF.Sqrt(d / HeadCount);
        Attention.Forward(
            q.Reshape(split), k.Reshape(split), v.Reshape(split), step.Sequences, step.Keys.Start, step.Keys.End, scale, heads.Reshape(split), lse, tape);
        OutProj.Forward(heads, a, arena, tape);
        Add.Forward(x, a, middle, tape);

        TensorView f = arena.Take(x.Shape), m = arena.Take(x.Shape);
        TensorView inner = arena.Take(new Shape(t, Fc1.OutputSize)), active = arena.Take(inner.Shape); // [T, F]
        LayerNorm.Forward(middle, LayerNorm2.Weight, LayerNorm2.Bias, NormEps, f, tape);
        Fc1.Forward(f, inner, arena, tape);
        Activate.Forward(inner, Activation, active, tape);
        Fc2.Forward(active, m, arena, tape);
        Add.Forward(middle, m, y, tape);
    }
}
