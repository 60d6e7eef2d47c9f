using GemmaCore.Models.Decoder;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Gemma3;

/// <summary>One Gemma 3 layer: attention and feed-forward, each between two norms (arXiv:2503.19786; order as in transformers 4.57).</summary>
public sealed class Gemma3Block
{
    /// <summary>[D] gain before attention.</summary>
    public required TensorView InputLayernorm { get; init; }

    /// <summary>[D] gain after attention.</summary>
    public required TensorView PostAttentionLayernorm { get; init; }

    /// <summary>[D] gain before the feed-forward part.</summary>
    public required TensorView PreFeedforwardLayernorm { get; init; }

    /// <summary>[D] gain after the feed-forward part.</summary>
    public required TensorView PostFeedforwardLayernorm { get; init; }

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
        TensorView h = arena.Take(x.Shape), a = arena.Take(x.Shape), n = arena.Take(x.Shape), middle = arena.Take(x.Shape); // all [T, D]
        RmsNorm.Forward(x, InputLayernorm, NormEps, 1, h, tape);
        SelfAttn.Forward(h, step, a, tape);
        RmsNorm.Forward(a, PostAttentionLayernorm, NormEps, 1, n, tape);

        TensorView f = arena.Take(x.Shape), m = arena.Take(x.Shape), p = arena.Take(x.Shape);
        AddRmsNorm.Forward(x, n, PreFeedforwardLayernorm, NormEps, 1, middle, f, tape);
        Mlp.Forward(f, m, arena, tape);
        RmsNorm.Forward(m, PostFeedforwardLayernorm, NormEps, 1, p, tape);
        Add.Forward(middle, p, y, tape);
    }
}
