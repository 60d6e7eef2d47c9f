using System.Buffers.Binary;
using System.IO.Compression;

namespace GemmaCore.Inputs.Volumes;

/// <summary>
/// A NIfTI volume, packed with gzip or not. The header is read first and then exactly the bytes that it promises. Slices lie along the third stored axis and are shown as
/// radiologists see them: the patient's left on the right, the front (or the head) on top; axial ones from the feet up.
/// </summary>
internal sealed class NiftiVolume : Volume
{
    private const int MostGzipGain = 1100; // deflate packs at most 1032 bytes into one

    private readonly NiftiHeader _header;
    private readonly byte[] _voxels;
    private readonly int _columnAxis;
    private readonly bool _flipColumns, _flipRows, _flipSlices;

    private NiftiVolume(string name, NiftiHeader header, byte[] voxels)
        : base(name)
    {
        (_header, _voxels) = (header, voxels);
        (int World, bool Ascends)[] axes = Axes(header.Directions);
        // Columns run to the patient's left, or in sagittal slices to the back; rows to the back in axial ones, else down.
        int acrossWorld = axes[2].World == 0 ? 1 : 0;
        _columnAxis = axes[0].World == acrossWorld ? 0 : 1;
        _flipColumns = axes[_columnAxis].Ascends;
        _flipRows = axes[1 - _columnAxis].Ascends;
        _flipSlices = axes[2] is (2, false);
    }

    public override int Count => _header.Size[2];

    private int Columns => _header.Size[_columnAxis];

    private int Rows => _header.Size[1 - _columnAxis];

    /// <summary>The header of a NIfTI file; null where it is none.</summary>
    /// <exception cref="InputException">It is damaged, or of a kind that is not read here.</exception>
    public static NiftiHeader? TryReadHeader(string path)
    {
        using Stream stream = Unpacked(path);
        byte[] head = ReadAtMost(stream, NiftiHeader.LongestLength, path);
        return NiftiHeader.IsOne(head) ? NiftiHeader.Read(head, path) : null;
    }

    /// <exception cref="InputException">Damaged, cut off, too large, or of a kind that is not read here.</exception>
    public static NiftiVolume Read(string path, long maxPixels)
    {
        using Stream stream = Unpacked(path);
        return Read(stream, path, maxPixels, new FileInfo(path).Length);
    }

    /// <summary>The same from memory.</summary>
    public static NiftiVolume Read(byte[] file, string name, long maxPixels)
    {
        using Stream stream = Unpacked(new MemoryStream(file));
        return Read(stream, name, maxPixels, file.Length);
    }

    private static NiftiVolume Read(Stream stream, string path, long maxPixels, long fileLength)
    {
        byte[] head = ReadAtMost(stream, NiftiHeader.LongestLength, path);
        NiftiHeader header = NiftiHeader.Read(head, path);
        long slice = (long)header.Size[0] * header.Size[1];
        if (slice > maxPixels) throw new InputException($"{path}: slices of {header.Size[0]} x {header.Size[1]} are more than the {maxPixels} pixels allowed");
        if (slice * header.Size[2] > MostBytes / header.VoxelBytes) throw NiftiHeader.Wrong(path, $"{string.Join(" x ", header.Size)} voxels of {header.VoxelBytes} bytes are more than {MostBytes} bytes");
        long promised = slice * header.Size[2] * header.VoxelBytes, possible = stream is GZipStream ? fileLength * MostGzipGain : fileLength - header.Offset;
        if (promised > possible) throw NiftiHeader.Wrong(path, $"it is cut off: {promised} bytes of voxels were promised, and the file cannot hold them");
        var voxels = new byte[promised];
        // The voxels of a first-version file may begin within what was read as head.
        ReadOnlySpan<byte> early = head.AsSpan(Math.Min(header.Offset, head.Length));
        early = early[..Math.Min(early.Length, voxels.Length)];
        early.CopyTo(voxels);
        ReadAtMost(stream, Math.Max(0, header.Offset - head.Length), path);
        int read = early.Length + Fill(stream, voxels.AsSpan(early.Length), path);
        return read == voxels.Length ? new NiftiVolume(path, header, voxels) : throw NiftiHeader.Wrong(path, $"it is cut off: {voxels.Length} bytes of voxels were promised, {read} are there");
    }

    protected override GreyWindow DefaultWindow(GreyPicture slice) =>
        throw new InputException($"{Name}: a NIfTI file does not say what it shows; add --window ct for CT, --window full for MRI (in rows: \"window\")");

    protected override GreyPicture Slice(int slice)
    {
        int z = _flipSlices ? Count - slice : slice - 1;
        var values = new double[Rows * Columns];
        for (int row = 0; row < Rows; row++)
        {
            int y = _flipRows ? Rows - 1 - row : row;
            for (int column = 0; column < Columns; column++)
            {
                int x = _flipColumns ? Columns - 1 - column : column;
                (int first, int second) = _columnAxis == 0 ? (x, y) : (y, x);
                values[row * Columns + column] = Value(((z * _header.Size[1]) + second) * _header.Size[0] + first);
            }
        }

        return new GreyPicture { Name = Name, Width = Columns, Height = Rows, Values = values, DefaultWindow = GreyWindow.Full };
    }

    // Which of right, front and up each stored axis follows most, the slices' axis first, and whether it goes that way or back.
    private static (int World, bool Ascends)[] Axes(double[,] directions)
    {
        var axes = new (int World, bool Ascends)[3];
        List<int> open = [0, 1, 2];
        foreach (int axis in (int[])[2, 0, 1])
        {
            int world = open.MaxBy(candidate => Math.Abs(directions[candidate, axis]));
            open.Remove(world);
            axes[axis] = (world, directions[world, axis] > 0);
        }

        return axes;
    }

    private double Value(int index)
    {
        ReadOnlySpan<byte> voxel = _voxels.AsSpan(index * _header.VoxelBytes, _header.VoxelBytes);
        bool big = _header.IsBigEndian;
        double stored = _header.Type switch
        {
            "uint8" => voxel[0],
            "int8" => (sbyte)voxel[0],
            "int16" => big ? BinaryPrimitives.ReadInt16BigEndian(voxel) : BinaryPrimitives.ReadInt16LittleEndian(voxel),
            "uint16" => big ? BinaryPrimitives.ReadUInt16BigEndian(voxel) : BinaryPrimitives.ReadUInt16LittleEndian(voxel),
            "int32" => big ? BinaryPrimitives.ReadInt32BigEndian(voxel) : BinaryPrimitives.ReadInt32LittleEndian(voxel),
            "uint32" => big ? BinaryPrimitives.ReadUInt32BigEndian(voxel) : BinaryPrimitives.ReadUInt32LittleEndian(voxel),
            "float32" => big ? BinaryPrimitives.ReadSingleBigEndian(voxel) : BinaryPrimitives.ReadSingleLittleEndian(voxel),
            _ => big ? BinaryPrimitives.ReadDoubleBigEndian(voxel) : BinaryPrimitives.ReadDoubleLittleEndian(voxel),
        };
        double value = stored * _header.Slope + _header.Intercept;
        return double.IsFinite(value) ? value : throw NiftiHeader.Wrong(Name, "a voxel is not a finite number");
    }

    private static Stream Unpacked(string path)
    {
        try
        {
            return Unpacked(File.OpenRead(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    private static Stream Unpacked(Stream file)
    {
        bool isPacked = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
        file.Position = 0;
        return isPacked ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    private static byte[] ReadAtMost(Stream stream, int count, string path)
    {
        var bytes = new byte[count];
        return bytes[..Fill(stream, bytes, path)];
    }

    private static int Fill(Stream stream, Span<byte> bytes, string path)
    {
        try
        {
            return stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        }
        catch (Exception error) when (error is InvalidDataException or IOException)
        {
            throw NiftiHeader.Wrong(path, "its gzip packing is damaged, or it cannot be read to its end");
        }
    }
}
