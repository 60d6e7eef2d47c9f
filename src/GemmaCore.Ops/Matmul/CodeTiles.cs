using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// The order in which a card's kernels read codes and magnitudes, in whole lines: tiles of <see cref="Outputs"/> outputs by <see cref="Inputs"/> inputs
/// (<c>codes.cuh</c>), the tiles of the same outputs one after the other.
/// </summary>
internal static class CodeTiles
{
    /// <summary>Rows of w in a tile.</summary>
    public const int Outputs = 16;

    /// <summary>Columns of w in a tile: an NF4 block.</summary>
    public const int Inputs = 64;

    private const int Threads = 256;

    // What is copied before it is written in another order.
    private const int SlabBytes = 16 << 20;

    private static readonly CudaKernel Codes8 = Kernel("uint2"), Codes16 = Kernel("uint4"), Bytes = Kernel("u8"), Halves = Kernel("half"), Floats = Kernel("float");

    /// <summary>True when the matrix is whole tiles.</summary>
    public static bool Suit(Shape w) => w.ElementCount > 0 && w[0] % Outputs == 0 && w[1] % Inputs == 0;

    /// <summary>Puts rows of codes into tiles, in place.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="codes">Row after row.</param>
    /// <param name="w">[O, K], whole tiles.</param>
    /// <param name="slabBytes">Most memory that a copy takes, if that is whole tiles.</param>
    public static void ArrangeCodes(CudaDevice cuda, TensorView codes, Shape w, int slabBytes = SlabBytes)
    {
        Unit unit = UnitOf(codes.ByteCount, w);
        Arrange(cuda, unit.Bytes == 8 ? Codes8 : Codes16, codes, w[0], unit, slabBytes);
    }

    /// <summary>The same with a row's magnitudes.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="magnitudes">As many for each row, u8, f16 or f32.</param>
    /// <param name="outputs">O.</param>
    public static void ArrangeMagnitudes(CudaDevice cuda, TensorView magnitudes, int outputs) =>
        Arrange(cuda, magnitudes.DType switch { DType.F32 => Floats, DType.F16 => Halves, _ => Bytes }, magnitudes, outputs, UnitOf(magnitudes), SlabBytes);

    /// <summary>A host copy of codes that lie in tiles, row after row.</summary>
    public static byte[] CodesInRows(TensorView codes, Shape w) => InRows(codes, w[0], UnitOf(codes.ByteCount, w));

    /// <summary>A host copy of magnitudes that lie in tiles, row after row.</summary>
    public static byte[] MagnitudesInRows(TensorView magnitudes, int outputs) => InRows(magnitudes, outputs, UnitOf(magnitudes));

    private static CudaKernel Kernel(string unit) => new("matmul_arrange.cu", "matmul_arrange", $"-DUNIT={unit}");

    // Sixteen codes, of NF4 in eight bytes.
    private static Unit UnitOf(long bytes, Shape w) => new((int)(16 * bytes / w.ElementCount), Inputs / 16, Alternates: bytes < w.ElementCount);

    private static Unit UnitOf(TensorView magnitudes) => new((int)(magnitudes.ByteCount / magnitudes.Shape.ElementCount), 1, Alternates: false);

    private static void Arrange(CudaDevice cuda, CudaKernel kernel, TensorView values, int outputs, Unit unit, int slabBytes)
    {
        int rowBytes = (int)(values.ByteCount / outputs), slabRows = Math.Max(1, slabBytes / Outputs / rowBytes) * Outputs;
        // Not scratch memory, which would keep the slab while the rest of the model is loaded.
        using var buffer = new DeviceBuffer(cuda, new Shape(Math.Min(slabRows, outputs) * rowBytes), DType.U8);
        for (int first = 0; first < outputs; first += slabRows)
        {
            int bytes = Math.Min(slabRows, outputs - first) * rowBytes;
            long count = bytes / unit.Bytes;
            var slab = new TensorView(values.Pointer + (nint)first * rowBytes, new Shape(bytes), DType.U8, cuda);
            TensorView copy = buffer.View.Slice(0, bytes);
            cuda.Copy(slab, copy);
            cuda.Launch(kernel, LaunchGrid.Over(count, Threads), copy, slab, count, rowBytes / unit.Bytes, unit.Across);
        }
    }

    private static byte[] InRows(TensorView values, int outputs, Unit unit)
    {
        byte[] tiles = new byte[values.ByteCount], rows = new byte[tiles.Length];
        values.Device.CopyToHost(values, tiles);
        int rowBytes = tiles.Length / outputs, stripeBytes = Outputs * rowBytes, tileUnits = Outputs * unit.Across;
        for (int at = 0; at < tiles.Length; at += unit.Bytes)
        {
            int inStripe = at % stripeBytes / unit.Bytes, inTile = inStripe % tileUnits;
            (int row, int across) = unit.Alternates ? (inTile / (2 * unit.Across) + inTile % 2 * 8, inTile / 2 % unit.Across) : (inTile / unit.Across, inTile % unit.Across);
            int to = at - at % stripeBytes + row * rowBytes + (inStripe / tileUnits * unit.Across + across) * unit.Bytes;
            tiles.AsSpan(at, unit.Bytes).CopyTo(rows.AsSpan(to));
        }

        return rows;
    }

    /// <summary>What of a row stays together.</summary>
    /// <param name="Bytes">Its size.</param>
    /// <param name="Across">How many a row has in a tile.</param>
    /// <param name="Alternates">Rows take turns with those eight further on.</param>
    private readonly record struct Unit(int Bytes, int Across, bool Alternates);
}
