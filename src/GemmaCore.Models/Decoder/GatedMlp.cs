using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Decoder;

/// <summary>down(act(gate(x)) ⊙ up(x)): the feed-forward part of a decoder layer (arXiv:2002.05202).</summary>
public sealed class GatedMlp
{
    /// <summary>[D] → [F].</summary>
    public required Linear GateProj { get; init; }

    /// <summary>[D] → [F].</summary>
    public required Linear UpProj { get; init; }

    /// <summary>[F] → [D].</summary>
    public required Linear DownProj { get; init; }

    /// <summary>Function of the gate.</summary>
    public required Activation Activation { get; init; }

    /// <summary>x [T, D] in, y [T, D] out.</summary>
    public void Forward(TensorView x, TensorView y, Arena arena, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(arena);
        var shape = new Shape(x.Shape[0], GateProj.OutputSize);
        TensorView gate = arena.Take(shape), up = arena.Take(shape), product = arena.Take(shape); // [T, F]
        GateProj.Forward(x, gate, arena, tape);
        UpProj.Forward(x, up, arena, tape);
        Glu.Forward(gate, up, Activation, product, tape);
        DownProj.Forward(product, y, arena, tape);
    }
}
