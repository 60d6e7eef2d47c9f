using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Decoder;

/// <summary>Runs a stack of blocks with the memory discipline all towers share.</summary>
internal static class BlockSequence
{
    /// <summary>
    /// Without a tape, two residual buffers alternate and each block's scratch is given back at once. With one, every block's activations stay, or,
    /// with <paramref name="recompute"/>, only its input does.
    /// </summary>
    /// <param name="x">Residual stream in.</param>
    /// <param name="count">Number of blocks.</param>
    /// <param name="name">What the blocks are called on the tape.</param>
    /// <param name="arena">Memory of the pass.</param>
    /// <param name="tape">Null in inference.</param>
    /// <param name="recompute">Recompute blocks in the backward pass.</param>
    /// <param name="forward">Block <c>index</c> from x to y.</param>
    /// <returns>Residual stream out.</returns>
    public static TensorView Run(
        TensorView x, int count, string name, Arena arena, Tape? tape, bool recompute, Action<int, TensorView, TensorView, Tape?> forward)
    {
        if (tape is not null) return RunRecorded(x, count, name, arena, tape, recompute, forward);
        TensorView y = arena.Take(x.Shape);
        for (int i = 0; i < count; i++)
        {
            Arena.Mark mark = arena.Position;
            forward(i, x, y, null);
            arena.Rewind(mark);
            (x, y) = (y, x);
        }

        return x;
    }

    // Apart from Run: the lambda would allocate its closure in inference too.
    private static TensorView RunRecorded(
        TensorView x, int count, string name, Arena arena, Tape tape, bool recompute, Action<int, TensorView, TensorView, Tape?> forward)
    {
        for (int i = 0; i < count; i++)
        {
            int index = i;
            TensorView input = x, output = arena.Take(x.Shape);
            if (recompute) tape.Recompute(name, input, output, inner => forward(index, input, output, inner));
            else forward(index, input, output, tape);
            x = output;
        }

        return x;
    }
}
