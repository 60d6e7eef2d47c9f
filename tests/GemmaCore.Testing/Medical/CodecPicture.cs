namespace GemmaCore.Testing.Medical;

/// <summary>A picture that a formula makes, so that what a decoder gives back can be held against every single sample: nobody's body, only shapes and noise.</summary>
/// <param name="Name">Part of the names of the files in tests/goldens/codecs.</param>
/// <param name="Width">Pixels of a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Components">1 or 3.</param>
/// <param name="Bits">Of a sample.</param>
/// <param name="IsSigned">Half of the values are negative.</param>
/// <param name="Noise">Bits of noise inside the shape; as many as <paramref name="Bits"/> for noise alone, 0 for none.</param>
public sealed record CodecPicture(string Name, int Width, int Height, int Components, int Bits, bool IsSigned, int Noise)
{
    /// <summary>Those of the goldens: odd sizes, one pixel, one row, one column, every depth in use.</summary>
    public static IReadOnlyList<CodecPicture> All { get; } =
    [
        new("grey8", 37, 29, 1, 8, false, 3), new("grey10", 23, 31, 1, 10, false, 2), new("grey12", 45, 38, 1, 12, false, 4), new("grey16", 33, 27, 1, 16, false, 7),
        new("signed16", 35, 26, 1, 16, true, 5), new("signed12", 21, 19, 1, 12, true, 3), new("noise16", 19, 17, 1, 16, false, 16), new("flat16", 40, 21, 1, 16, false, 0),
        new("dot12", 1, 1, 1, 12, false, 12), new("row8", 41, 1, 1, 8, false, 3), new("column16", 1, 37, 1, 16, false, 6), new("colour8", 31, 22, 3, 8, false, 3),
        new("halved8", 32, 22, 3, 8, false, 3) { Step = 2 }, new("tile8", 32, 16, 3, 8, false, 2), new("ycbcr8", 32, 16, 3, 8, false, 4) { Step = 2 },
    ];

    /// <summary>A large one, for timing.</summary>
    public static CodecPicture Radiograph { get; } = new("radiograph", 2048, 2048, 1, 16, false, 5);

    /// <summary>Columns and rows that share a sample of the components behind the first.</summary>
    public int Step { get; init; } = 1;

    /// <summary>The picture of a name.</summary>
    public static CodecPicture Find(string name) => All.First(picture => picture.Name == name);

    /// <summary>All samples, [Height, Width, Components].</summary>
    public int[] Values()
    {
        var values = new int[Width * Height * Components];
        for (int i = 0; i < values.Length; i++) values[i] = Value(i / Components % Width, i / Components / Width, i % Components);
        return values;
    }

    /// <summary>The same in bytes: one for up to 8 bits, else two, the lower first.</summary>
    public byte[] Bytes() => Bits <= 8 ? [.. Values().Select(value => (byte)value)] : [.. Values().SelectMany(value => BitConverter.GetBytes((short)value))];

    /// <summary>The same as a DICOM file that is not packed.</summary>
    public DicomWriter Dicom() => new DicomWriter().Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7").Text(0x0008_0018, "UI", "1.2.3.4").Text(0x0008_0060, "CS", "OT")
        .Shape(Width, Height, Components, Components == 1 ? "MONOCHROME2" : "RGB", Bits <= 8 ? 8 : 16, Bits, IsSigned).Short(0x0028_0006, 0).Pixels(Bytes(), Bits <= 8 ? "OB" : "OW");

    // A bright ellipse with a gradient and noise on a flat ground, a checkerboard of extremes in a corner.
    private int Value(int x, int y, int component)
    {
        if (component > 0) (x, y) = (x - x % Step, y - y % Step);
        int range = 1 << Bits, value = range / 5;
        uint hash = (uint)(x * 73_856_093 ^ y * 19_349_663 ^ component * 83_492_791) * 2_654_435_761;
        int noise = Noise == 0 ? 0 : (int)(hash >> (32 - Noise));
        int across = (2 * x - Width) * Height, down = (2 * y - Height) * Width, size = Width * Height;
        if (Noise == Bits) value = noise;
        else if ((long)across * across + (long)down * down < (long)size * size) value = range / 4 + (range / 2 * (x + y + 3 * component) / (Width + Height + 9)) + noise;
        else if (x > Width - 7 && y > Height - 6) value = (x + y + component) % 2 * (range - 1);
        return IsSigned ? value - range / 2 : value;
    }
}
