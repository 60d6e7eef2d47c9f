using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>A specialisation of <c>matmul_mma.cu</c> on one kind of card, and what its blocks are expected to take there.</summary>
/// <param name="Rows">Of C that a block computes.</param>
/// <param name="Columns">Of C that a block computes.</param>
/// <param name="Threads">Of a block.</param>
/// <param name="Together">Blocks that a multiprocessor runs at once, by registers and shared memory.</param>
/// <param name="Steps">Of 32 along the depth that are in shared memory at once.</param>
/// <param name="Weight">Time that an element of C takes for a step, relative to the other tiles of the card.</param>
internal readonly record struct MatmulTile(int Rows, int Columns, int Threads, int Together, int Steps, int Weight)
{
    /// <summary>Depth in which times are counted.</summary>
    public const int Step = 32;

    // Filling the stages and storing C, in steps of a block; a launch more, in elements of C times steps times weights, of each multiprocessor.
    private const int Overhead = 4, Launch = 700_000;

    // The weights follow the bytes that a multiplication reads from shared memory and, on cards with many multiprocessors, from L2: small tiles
    // read more. Steps are those of matmul_mma.cu; 7.5, 8.6 and 8.9 have no room for the stages of the wide tiles.
    private static readonly MatmulTile[]
        Turing = [new(64, 64, 128, 4, 2, 8), new(128, 128, 256, 2, 2, 6)],
        Ampere = [new(64, 64, 128, 4, 5, 10), new(128, 128, 128, 2, 5, 6), new(256, 128, 256, 1, 6, 5), new(128, 256, 256, 1, 6, 5)],
        Ada = [new(64, 64, 128, 4, 3, 10), new(128, 128, 128, 2, 3, 6)],
        Hopper = [new(64, 64, 128, 4, 6, 12), new(128, 128, 128, 2, 6, 7), new(256, 128, 256, 1, 8, 5), new(128, 256, 256, 1, 8, 5)];

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes => Steps * (Rows + Columns) * Step * sizeof(ushort);

    /// <summary>The tiles that a card has room for, smallest first.</summary>
    public static ReadOnlySpan<MatmulTile> Of(CudaPrecision precision, int architecture) =>
        precision == CudaPrecision.Float16 ? Turing : architecture switch { 80 => Ampere, 90 => Hopper, _ => Ada };

    /// <summary>What blocks of so many steps take: elements of C times steps times weights of the busiest multiprocessor.</summary>
    public long Time(long blocks, int steps, int multiprocessors)
    {
        long busiest = (blocks + multiprocessors - 1) / multiprocessors, full = busiest / Together, left = busiest % Together;
        // Blocks beside one another hide each other's waits: one alone takes more than its share.
        long together = full * Together * (Together + 1) + (left == 0 ? 0 : Together * (left + 1));
        return together * Rows * Columns * (steps + Overhead) * Weight / (Together + 1);
    }

    /// <summary>What it takes to write the sums of cut tiles and to read them again, in the same measure.</summary>
    public long ReduceTime(long blocks, int multiprocessors) => Launch + blocks * Rows * Columns * 80 / multiprocessors;
}
