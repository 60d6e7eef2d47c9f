using System.Buffers.Binary;

namespace GemmaCore.Inputs.Volumes;

/// <summary>The header of a NIfTI-1 or NIfTI-2 file in one piece (<c>.nii</c>), in either order of bytes.</summary>
internal sealed record NiftiHeader
{
    /// <summary>Bytes that a header of either version fits in.</summary>
    public const int LongestLength = 540;

    private const int FirstVersion = 348, MostOffset = 1 << 24;

    private static readonly Dictionary<int, (string Name, int Bytes)> Types = new()
    {
        [2] = ("uint8", 1), [4] = ("int16", 2), [8] = ("int32", 4), [16] = ("float32", 4), [64] = ("float64", 8), [256] = ("int8", 1), [512] = ("uint16", 2), [768] = ("uint32", 4),
    };

    /// <summary>Voxels along the three axes as stored, the first one fastest.</summary>
    public required int[] Size { get; init; }

    /// <summary>int16, float32, …</summary>
    public required string Type { get; init; }

    public required int VoxelBytes { get; init; }

    public required bool IsBigEndian { get; init; }

    /// <summary>First byte of the voxels in the unpacked file.</summary>
    public required int Offset { get; init; }

    public required double Slope { get; init; }

    public required double Intercept { get; init; }

    /// <summary>[3, 3]: what a step along each stored axis (column) means in right, front, up (row), in mm.</summary>
    public required double[,] Directions { get; init; }

    /// <summary>Whether bytes begin a NIfTI file; a pair of header and image counts, and is refused later.</summary>
    public static bool IsOne(ReadOnlySpan<byte> head) =>
        head.Length >= FirstVersion && (head.Slice(344, 4).SequenceEqual("n+1\0"u8) || head.Slice(344, 4).SequenceEqual("ni1\0"u8) || head.Slice(4, 4).SequenceEqual("n+2\0"u8) || head.Slice(4, 4).SequenceEqual("ni2\0"u8));

    /// <exception cref="InputException">Not NIfTI, damaged, or of a kind that is not read here.</exception>
    public static NiftiHeader Read(ReadOnlySpan<byte> head, string name)
    {
        if (!IsOne(head)) throw new InputException($"{name}: not a NIfTI volume (.nii, .nii.gz), a folder of DICOM files, or a DICOM file of several frames");
        bool second = head[4] == 'n' && head[6] == '2' && head.Length >= LongestLength;
        int length = second ? LongestLength : FirstVersion;
        bool isBig = BinaryPrimitives.ReadInt32BigEndian(head) == length;
        if (!isBig && BinaryPrimitives.ReadInt32LittleEndian(head) != length) throw Wrong(name, "its header has another length than its kind");
        if (head[second ? 5 : 345] == 'i') throw Wrong(name, "its voxels are in a file of their own; save it in one piece, as .nii or .nii.gz");
        var fields = new NiftiFields(head, isBig, second);
        long axes = fields.Dimension(0);
        if (axes is < 2 or > 7) throw Wrong(name, $"it has {axes} axes");
        for (int axis = 4; axis <= axes; axis++)
            if (fields.Dimension(axis) > 1) throw Wrong(name, $"it has {fields.Dimension(axis)} values along axis {axis}, and volumes have three axes; save one of them");
        int[] size = [1, 1, 1];
        for (int axis = 1; axis <= Math.Min(3, axes); axis++) size[axis - 1] = (int)Math.Clamp(fields.Dimension(axis), -1, int.MaxValue);
        if (size.Any(side => side is < 1 or > 1 << 15)) throw Wrong(name, $"it has {string.Join(" x ", size)} voxels");
        int code = fields.DataType;
        if (!Types.TryGetValue(code, out (string Name, int Bytes) type)) throw Wrong(name, $"voxels of the type {code} are not read here; expected {string.Join(", ", Types.Values.Select(known => known.Name))}");
        double offset = fields.Offset, slope = fields.Slope, intercept = fields.Intercept;
        if (!(offset >= length && offset <= MostOffset)) throw Wrong(name, "its voxels begin nowhere");
        if (!double.IsFinite(slope) || !double.IsFinite(intercept)) throw Wrong(name, "its slope or its intercept is not a number");
        return new NiftiHeader
        {
            Size = size,
            Type = type.Name,
            VoxelBytes = type.Bytes,
            IsBigEndian = isBig,
            Offset = (int)offset,
            Slope = slope == 0 ? 1 : slope,
            Intercept = slope == 0 ? 0 : intercept, // a slope of 0 says that neither counts
            Directions = fields.Directions(),
        };
    }

    public static InputException Wrong(string name, string what) => new($"{name}: the NIfTI volume cannot be read: {what}");
}

/// <summary>Fields of a header by their meaning; the places differ between the versions (nifti1.h, nifti2.h).</summary>
internal readonly ref struct NiftiFields(ReadOnlySpan<byte> head, bool isBig, bool second)
{
    private readonly ReadOnlySpan<byte> _head = head;

    public int DataType => Short(second ? 12 : 70);

    public double Offset => second ? Long(168) : Float(108);

    public double Slope => second ? Double(176) : Float(112);

    public double Intercept => second ? Double(184) : Float(116);

    public long Dimension(int index) => second ? Long(16 + 8 * index) : Short(40 + 2 * index);

    // The s-form where there is one, else the q-form's rotation, else nibabel's guess: first axis to the left.
    public double[,] Directions()
    {
        var matrix = new double[3, 3];
        int quaternion = second ? Int(344) : Short(252), affine = second ? Int(348) : Short(254);
        if (affine > 0)
        {
            for (int row = 0; row < 3; row++)
                for (int column = 0; column < 3; column++) matrix[row, column] = second ? Double(400 + 32 * row + 8 * column) : Float(280 + 16 * row + 4 * column);
            return matrix;
        }

        if (quaternion <= 0) return new double[,] { { -1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } };
        double b = second ? Double(352) : Float(256), c = second ? Double(360) : Float(260), d = second ? Double(368) : Float(264);
        double a = Math.Sqrt(Math.Max(0, 1 - b * b - c * c - d * d)), flip = (second ? Double(104) : Float(76)) < 0 ? -1 : 1;
        return new[,]
        {
            { a * a + b * b - c * c - d * d, 2 * (b * c - a * d), flip * 2 * (b * d + a * c) },
            { 2 * (b * c + a * d), a * a + c * c - b * b - d * d, flip * 2 * (c * d - a * b) },
            { 2 * (b * d - a * c), 2 * (c * d + a * b), flip * (a * a + d * d - b * b - c * c) },
        };
    }

    private short Short(int at) => isBig ? BinaryPrimitives.ReadInt16BigEndian(_head[at..]) : BinaryPrimitives.ReadInt16LittleEndian(_head[at..]);

    private int Int(int at) => isBig ? BinaryPrimitives.ReadInt32BigEndian(_head[at..]) : BinaryPrimitives.ReadInt32LittleEndian(_head[at..]);

    private long Long(int at) => isBig ? BinaryPrimitives.ReadInt64BigEndian(_head[at..]) : BinaryPrimitives.ReadInt64LittleEndian(_head[at..]);

    private double Float(int at) => isBig ? BinaryPrimitives.ReadSingleBigEndian(_head[at..]) : BinaryPrimitives.ReadSingleLittleEndian(_head[at..]);

    private double Double(int at) => isBig ? BinaryPrimitives.ReadDoubleBigEndian(_head[at..]) : BinaryPrimitives.ReadDoubleLittleEndian(_head[at..]);
}
