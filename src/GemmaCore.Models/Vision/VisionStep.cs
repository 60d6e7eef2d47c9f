using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Vision;

/// <summary>One pass of a vision tower: every image is a sequence of its own whose tokens all see each other.</summary>
public sealed class VisionStep
{
    /// <summary>Prepares a pass over <paramref name="imageCount"/> images of <paramref name="tokensPerImage"/> tokens.</summary>
    public VisionStep(int imageCount, int tokensPerImage, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(arena);
        Arena = arena;
        Sequences = new AttentionSequence[imageCount];
        for (int i = 0; i < imageCount; i++)
            Sequences[i] = new AttentionSequence(i * tokensPerImage, tokensPerImage, default, default, 0, 0);
        int[] ends = new int[imageCount * tokensPerImage];
        TensorView start = arena.TakeInts(ends);
        Array.Fill(ends, tokensPerImage);
        Keys = new KeyIntervals(start, arena.TakeInts(ends));
    }

    /// <summary>Memory of the pass.</summary>
    public Arena Arena { get; }

    /// <summary>One per image.</summary>
    public AttentionSequence[] Sequences { get; }

    /// <summary>All keys of the own image.</summary>
    public KeyIntervals Keys { get; }
}
