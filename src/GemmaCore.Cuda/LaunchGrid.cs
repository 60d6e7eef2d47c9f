namespace GemmaCore.Cuda;

/// <summary>How a kernel is spread over the card: blocks in up to three dimensions, threads of a block in one, and dynamic shared memory.</summary>
public readonly record struct LaunchGrid
{
    /// <summary>A grid of blocks.</summary>
    /// <param name="x">Blocks in x, at least 1.</param>
    /// <param name="threads">Threads of a block.</param>
    /// <param name="y">Blocks in y, at most 65535.</param>
    /// <param name="z">Blocks in z, at most 65535.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block, besides what the kernel declares.</param>
    public LaunchGrid(long x, int threads, int y = 1, int z = 1, int sharedBytes = 0)
    {
        if (x is < 1 or > int.MaxValue || threads is < 1 or > 1024 || y is < 1 or > 65535 || z is < 1 or > 65535 || sharedBytes < 0)
            throw new ArgumentOutOfRangeException(nameof(x), $"LaunchGrid: {x} x {y} x {z} blocks of {threads} threads with {sharedBytes} shared bytes is no grid");
        (X, Threads, Y, Z, SharedBytes) = ((int)x, threads, y, z, sharedBytes);
    }

    /// <summary>Blocks in x.</summary>
    public int X { get; }

    /// <summary>Blocks in y.</summary>
    public int Y { get; }

    /// <summary>Blocks in z.</summary>
    public int Z { get; }

    /// <summary>Threads of a block.</summary>
    public int Threads { get; }

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes { get; }

    /// <summary>Blocks of <paramref name="threads"/> that cover <paramref name="elements"/>.</summary>
    public static LaunchGrid Over(long elements, int threads) => new((elements + threads - 1) / threads, threads);

    /// <inheritdoc/>
    public override string ToString() => $"grid {X}x{Y}x{Z}, block {Threads}, {SharedBytes} shared bytes";
}
