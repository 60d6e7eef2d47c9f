using System.Runtime.InteropServices;

namespace GemmaCore.Ops;

/// <summary>Packing memory of one thread, taken on its first product and freed after the thread has ended.</summary>
internal sealed unsafe class PanelScratch
{
    /// <summary>Deepest panel: 256 steps of a 32-column panel are 32 KiB, the size of a first-level cache.</summary>
    public const int MaxDepth = 256;

    /// <summary>Most columns of the right matrix packed at a time: 256 KiB with <see cref="MaxDepth"/>, a quarter of a second-level cache.</summary>
    public const int MaxColumns = 256;

    /// <summary>Floats between rows of a packed left panel: not a power of two, so that the rows do not share cache sets.</summary>
    public const int LeftStride = MaxDepth + 16;

    private const int MaxTileRows = 12, MaxTileColumns = 32;

    [ThreadStatic]
    private static PanelScratch? t_mine;

    private readonly void* _memory;
    private float* _piece;

    private PanelScratch()
    {
        const int right = MaxDepth * MaxColumns, left = MaxTileRows * LeftStride, tile = MaxTileRows * MaxTileColumns;
        _memory = NativeMemory.AlignedAlloc((right + left + tile) * sizeof(float), 64);
        Right = (float*)_memory;
        Left = Right + right;
        Tile = Left + left;
    }

    ~PanelScratch()
    {
        NativeMemory.AlignedFree(_memory);
        NativeMemory.AlignedFree(_piece);
    }

    /// <summary>The calling thread's memory.</summary>
    public static PanelScratch Mine => t_mine ??= new PanelScratch();

    /// <summary>Packed block of the right matrix: panels of a tile's width, each [depth, width].</summary>
    public float* Right { get; }

    /// <summary>Packed panel of the left matrix, [tile rows, <see cref="LeftStride"/>].</summary>
    public float* Left { get; }

    /// <summary>A dequantised block of the right matrix before it is packed; taken when a product first needs it.</summary>
    public float* Piece => _piece != null ? _piece : _piece = (float*)NativeMemory.AlignedAlloc(MaxDepth * MaxColumns * sizeof(float), 64);

    /// <summary>A whole tile of results, for tiles that stick out of C.</summary>
    public float* Tile { get; }
}
