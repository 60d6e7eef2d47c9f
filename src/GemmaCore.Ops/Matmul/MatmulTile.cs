using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>A specialisation of <c>matmul_mma.cu</c> or <c>matmul_warpgroup.cu</c> on one kind of card, and what its blocks are expected to take there.</summary>
/// <param name="Rows">Of C that a block computes.</param>
/// <param name="Columns">Of C that a block computes.</param>
/// <param name="Threads">Of a block.</param>
/// <param name="Together">Blocks that a multiprocessor runs at once, by registers and shared memory.</param>
/// <param name="Steps">Of 32 along the depth that are in shared memory at once.</param>
/// <param name="Alone">Nanoseconds of a step where the multiprocessor runs no other block.</param>
/// <param name="Beside">Nanoseconds that a step takes longer for every block beside it.</param>
/// <param name="Start">Nanoseconds in which a block fills its stages and stores C.</param>
/// <param name="InWarpgroups">Multiplied by warpgroups (wgmma), which Hopper alone has.</param>
internal readonly record struct MatmulTile(
    int Rows, int Columns, int Threads, int Together, int Steps, int Alone, int Beside, int Start, bool InWarpgroups = false)
{
    /// <summary>Depth in which times are counted.</summary>
    public const int Step = 32;

    // Launching the reduction, in nanoseconds; elements of cut tiles that a multiprocessor writes and reads again in one.
    private const int Launch = 1500, PartialsPerNanosecond = 5;

    // Hopper's times are fitted to products measured on an H200 in NT and NN: what takes least by them took least there, or within 5 % of it.
    // The other cards' follow by what their multiprocessors multiply and are not measured. Steps are those of matmul_mma.cu; 7.5, 8.6 and 8.9
    // have no room for the stages of wide tiles. Tall ones are worth it in NT alone: otherwise registers are too few for stages 64 deep.
    private static readonly MatmulTile[]
        Turing = [new(64, 64, 128, 4, 2, 500, 250, 5000), new(128, 128, 256, 2, 2, 1150, 800, 8000)],
        Ampere = [new(64, 64, 128, 4, 5, 280, 150, 4000), new(128, 128, 128, 2, 5, 560, 430, 7000), new(128, 256, 256, 1, 6, 880, 0, 9000)],
        Ada = [new(64, 64, 128, 4, 3, 600, 400, 7000), new(128, 128, 128, 2, 3, 1500, 1300, 15000)],
        Hopper = [new(64, 64, 128, 4, 6, 190, 105, 2500), new(128, 128, 128, 2, 6, 360, 275, 5500), new(128, 256, 256, 1, 6, 575, 0, 6500)],
        TallAmpere = [.. Ampere, new(256, 128, 256, 1, 6, 880, 0, 9000)],
        TallHopper =
        [
            new(64, 64, 128, 4, 6, 190, 105, 2500), new(128, 128, 128, 2, 6, 375, 285, 4500), new(128, 256, 256, 1, 8, 600, 0, 4500),
            new(256, 128, 256, 1, 8, 555, 0, 7000),
        ],
        // Those of warpgroups are fitted to products measured on an H100: within 8 % in the mean of NT and NN, which differ.
        Warpgroups =
        [
            new(64, 64, 128, 4, 6, 190, 105, 2500), new(128, 128, 128, 2, 6, 375, 285, 5500), new(128, 256, 256, 1, 8, 440, 0, 3500, true),
            new(256, 192, 256, 1, 8, 600, 0, 9800, true),
        ];

    // Of matmul_quantized_mma.cu, none measured: between those of the tiles above with half and with twice its elements. Together by registers and shared memory.
    private static readonly MatmulTile
        TuringCodes = new(64, 128, 256, 1, 4, 800, 0, 6500), AmpereCodes = new(64, 128, 256, 2, 4, 420, 290, 5500), AdaCodes = new(64, 128, 256, 1, 4, 1000, 0, 11000),
        HopperCodes = new(64, 128, 256, 2, 4, 275, 190, 4000);

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes => Steps * (Rows + Columns) * Step * sizeof(ushort);

    /// <summary>Blocks that share the reduction of a tile: one for sixteen rows of every warp's part, in warpgroups for 32 columns of them.</summary>
    public int ReduceBlocks => InWarpgroups ? Rows / 128 * (Columns / 32) : Rows == 64 ? 2 : 4;

    /// <summary>The tiles that a card has room for, smallest first.</summary>
    public static ReadOnlySpan<MatmulTile> Of(MatmulLayout layout, CudaPrecision precision, int architecture, bool hasWarpgroups) =>
        precision == CudaPrecision.Float16 ? Turing : hasWarpgroups ? Warpgroups : architecture switch
        {
            80 => layout == MatmulLayout.NT ? TallAmpere : Ampere,
            90 => layout == MatmulLayout.NT ? TallHopper : Hopper,
            _ => Ada,
        };

    /// <summary>The one tile of products with codes.</summary>
    public static MatmulTile OfCodes(CudaPrecision precision, int architecture) =>
        precision == CudaPrecision.Float16 ? TuringCodes : architecture switch { 80 => AmpereCodes, 90 => HopperCodes, _ => AdaCodes };

    /// <summary>Nanoseconds that blocks of so many steps take, which is what the busiest multiprocessor does.</summary>
    public long Time(long blocks, int steps, int multiprocessors)
    {
        long busiest = (blocks + multiprocessors - 1) / multiprocessors, full = busiest / Together, left = busiest % Together;
        return full * Round(Together, steps) + (left == 0 ? 0 : Round(left, steps));
    }

    /// <summary>Nanoseconds that it takes to write the sums of cut tiles and to add them up.</summary>
    public long ReduceTime(long blocks, int multiprocessors) => Launch + blocks * Rows * Columns / (PartialsPerNanosecond * multiprocessors);

    private long Round(long together, int steps) => (Alone + (together - 1) * Beside) * steps + Start;
}
