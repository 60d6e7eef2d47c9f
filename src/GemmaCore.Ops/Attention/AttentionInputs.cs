using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>What both passes of attention read, as <see cref="Attention.Forward"/> has checked it.</summary>
/// <param name="Q">[T, N, H].</param>
/// <param name="K">[T, K, H], the current rows.</param>
/// <param name="V">Like <paramref name="K"/>.</param>
/// <param name="Sequences">The sequences of the batch.</param>
/// <param name="KeyStart">[T] i32: first visible slot of every row.</param>
/// <param name="KeyEnd">[T] i32: slot after the last visible one.</param>
/// <param name="Scale">Factor on q·k.</param>
internal readonly record struct AttentionInputs(
    TensorView Q, TensorView K, TensorView V, AttentionSequence[] Sequences, TensorView KeyStart, TensorView KeyEnd, float Scale)
{
    public int Rows => Q.Shape[0];

    public int Heads => Q.Shape[1];

    public int KeyHeads => K.Shape[1];

    public int HeadSize => Q.Shape[2];

    /// <summary>Query heads that share a key head.</summary>
    public int Group => Heads / KeyHeads;
}

/// <summary>Where an input's gradient goes; an empty view where it is not wanted.</summary>
internal readonly record struct AttentionGradient(TensorView View, bool Accumulate)
{
    public bool IsWanted => !View.IsEmpty;

    /// <summary>The gradient of <paramref name="input"/>, if the tape tracks it.</summary>
    public static AttentionGradient For(TensorView input, Tape tape)
    {
        if (!tape.Tracks(input)) return default;
        TensorView view = tape.GradientFor(input, out bool accumulate);
        return new AttentionGradient(view, accumulate);
    }
}

/// <summary>What the backward pass reads beside the inputs, and what it writes.</summary>
/// <param name="DY">[T, N, H], complete.</param>
/// <param name="Y">[T, N, H].</param>
/// <param name="Lse">[T, N].</param>
/// <param name="DQ">[T, N, H].</param>
/// <param name="DK">[T, K, H].</param>
/// <param name="DV">[T, K, H].</param>
internal readonly record struct AttentionOutputs(
    TensorView DY, TensorView Y, TensorView Lse, AttentionGradient DQ, AttentionGradient DK, AttentionGradient DV);
