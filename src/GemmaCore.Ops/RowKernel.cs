using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>
/// A kernel that works on the rows of a matrix in two specialisations: short rows take a warp each, so that no thread idles and no barrier is
/// needed; long ones take a block each (kernels.md §1.11).
/// </summary>
internal sealed class RowKernel
{
    // 36 values a lane; the widest row of the vision tower.
    private const int WidestForWarp = 1152;
    private const int BlockThreads = 256, WarpsPerBlock = 4;

    private readonly CudaKernel _perWarp, _perBlock;

    /// <summary>Names an entry of a file that is specialised by <c>ROW_THREADS</c>.</summary>
    public RowKernel(string file, string entry)
    {
        _perWarp = new CudaKernel(file, entry, "-DROW_THREADS=32");
        _perBlock = new CudaKernel(file, entry, "-DROW_THREADS=256");
    }

    /// <summary>The specialisation for rows of <paramref name="columns"/>.</summary>
    public CudaKernel For(int columns) => columns <= WidestForWarp ? _perWarp : _perBlock;

    /// <summary>Its grid over at least one row.</summary>
    public static LaunchGrid Grid(int rows, int columns) => columns <= WidestForWarp
        ? new LaunchGrid(((long)rows + WarpsPerBlock - 1) / WarpsPerBlock, 32 * WarpsPerBlock)
        : new LaunchGrid(rows, BlockThreads);
}
