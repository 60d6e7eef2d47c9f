using System.Runtime.InteropServices;

namespace GemmaCore.Ops;

/// <summary>A thread's working memory for attention tiles: grown when a larger tile comes, kept for the next call.</summary>
internal sealed unsafe class AttentionScratch
{
    private const nuint Alignment = 64;

    [ThreadStatic]
    private static AttentionScratch? t_tile, t_partials;

    private float* _memory;
    private long _floats;

    ~AttentionScratch() => NativeMemory.AlignedFree(_memory);

    /// <summary>Room of this thread for the part it computes; undefined contents, valid until the thread's next call.</summary>
    public static float* ForTile(long floats) => (t_tile ??= new AttentionScratch()).Room(floats);

    /// <summary>Room of the calling thread for results that all parts of one operation share.</summary>
    public static float* ForPartials(long floats) => (t_partials ??= new AttentionScratch()).Room(floats);

    private float* Room(long floats)
    {
        if (floats > _floats)
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _floats = 0;
            _memory = (float*)NativeMemory.AlignedAlloc((nuint)floats * sizeof(float), Alignment);
            _floats = floats;
        }

        return _memory;
    }
}
