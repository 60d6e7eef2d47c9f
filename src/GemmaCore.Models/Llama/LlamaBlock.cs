using GemmaCore.Models.Decoder;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Llama;

/// <summary>One LLaMA layer: attention and feed-forward, each behind one norm (arXiv:2302.13971).</summary>
public sealed class LlamaBlock
{
    /// <summary>[D] gain before attention.</summary>
    public required TensorView InputLayernorm { get; init; }

    /// <summary>[D] gain before the feed-forward part; Gemma uses the same name for another place.</summary>
    public required TensorView PostAttentionLayernorm { get; init; }

    /// <summary>Attention.</summary>
    public required GroupedQueryAttention SelfAttn { get; init; }

    /// <summary>Feed-forward part.</summary>
    public required GatedMlp Mlp { get; init; }

    /// <summary>Epsilon of the norms.</summary>
    public required float NormEps { get; init; }

    /// <summary>x [T, D] residual stream in, y [T, D] out.</summary>
    public void Forward(TensorView x, DecoderStep step, TensorView y, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(step);
        Arena arena = step.Arena;
        TensorView h = arena.Take(x.Shape), a = arena.Take(x.Shape), middle = arena.Take(x.Shape); // all [T, D]
        RmsNorm.Forward(x, InputLayernorm, NormEps, 0, h, tape);
        SelfAttn.Forward(h, step, a, tape);

        TensorView f = arena.Take(x.Shape), m = arena.Take(x.Shape);
        AddRmsNorm.Forward(x, a, PostAttentionLayernorm, NormEps, 0, middle, f, tape);
        Mlp.Forward(f, m, arena, tape);
        Add.Forward(middle, m, y, tape);
    }
}
