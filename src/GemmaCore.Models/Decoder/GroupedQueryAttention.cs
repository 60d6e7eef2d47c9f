using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Decoder;

/// <summary>
/// Causal attention of a decoder layer with grouped key/value heads, rotary positions and, for Gemma 3, RMS norms of queries and keys.
/// </summary>
public sealed class GroupedQueryAttention
{
    /// <summary>Module index in its model: which layer of the cache it owns.</summary>
    public required int LayerIndex { get; init; }

    /// <summary>[D] → [N·H].</summary>
    public required Linear QProj { get; init; }

    /// <summary>[D] → [K·H].</summary>
    public required Linear KProj { get; init; }

    /// <summary>[D] → [K·H].</summary>
    public required Linear VProj { get; init; }

    /// <summary>[N·H] → [D].</summary>
    public required Linear OProj { get; init; }

    /// <summary>[H] gain of 1 + w for queries; default where the family has none.</summary>
    public TensorView QNorm { get; init; }

    /// <summary>[H] gain of 1 + w for keys; default where the family has none.</summary>
    public TensorView KNorm { get; init; }

    /// <summary>Epsilon of the two norms.</summary>
    public float NormEps { get; init; }

    /// <summary>H.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Factor on q·k.</summary>
    public required float Scale { get; init; }

    /// <summary>y = o_proj(attention(x)).</summary>
    /// <param name="x">[T, D], already normalised.</param>
    /// <param name="step">What this step's tokens see, and their rotary tables.</param>
    /// <param name="y">[T, D].</param>
    /// <param name="tape">Null in inference.</param>
    public void Forward(TensorView x, DecoderStep step, TensorView y, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(step);
        Arena arena = step.Arena;
        int t = x.Shape[0], n = QProj.OutputSize / HeadDim, kv = KProj.OutputSize / HeadDim;
        LayerStep layer = step.Layers[LayerIndex];

        TensorView q = Placed(Project(QProj, x, n, arena, tape), QNorm, layer, arena, tape);   // [T, N, H]
        TensorView k = Placed(Project(KProj, x, kv, arena, tape), KNorm, layer, arena, tape);  // [T, K, H]
        TensorView v = Project(VProj, x, kv, arena, tape);                                     // [T, K, H]

        TensorView heads = arena.Take(new Shape(t, n, HeadDim));   // [T, N, H]
        TensorView lse = tape is null ? default : arena.Take(new Shape(t, n));
        Attention.Forward(q, k, v, step.SequencesOf(LayerIndex), layer.Keys.Start, layer.Keys.End, Scale, heads, lse, tape);
        step.Store(LayerIndex, k, v);
        OProj.Forward(heads.Reshape(new Shape(t, n * HeadDim)), y, arena, tape);
    }

    private TensorView Project(Linear linear, TensorView x, int heads, Arena arena, Tape? tape)
    {
        TensorView projected = arena.Take(new Shape(x.Shape[0], heads, HeadDim));
        linear.Forward(x, projected.Reshape(new Shape(x.Shape[0], heads * HeadDim)), arena, tape);
        return projected;
    }

    // Normalised, where the family does that, and turned to its position.
    private TensorView Placed(TensorView heads, TensorView norm, in LayerStep layer, Arena arena, Tape? tape)
    {
        if (norm.IsEmpty)
        {
            Rope.Forward(heads, layer.Cos, layer.Sin, tape);
            return heads;
        }

        TensorView placed = arena.Take(heads.Shape);
        RmsNormRope.Forward(heads, norm, NormEps, 1, layer.Cos, layer.Sin, placed, tape);
        return placed;
    }
}
