using System.Globalization;

namespace GemmaCore.Inputs;

/// <summary>
/// Which values of a grey picture become black and which white: of a DICOM file, of a slice, of a 16-bit PNG or TIFF. Named ones are in Hounsfield units.
/// </summary>
public sealed record GreyWindow
{
    private const string OwnPrefix = "file:";

    private GreyWindow(string name, params WindowRange[] channels) => (Name, Channels) = (name, channels);

    /// <summary>
    /// MedGemma's three windows for CT as red, green and blue: -1024..1024, -135..215, 0..80 HU (Google's CT notebook and the report on MedGemma 1.5).
    /// </summary>
    public static GreyWindow Ct { get; } = new("ct", new WindowRange(0, 2048), new WindowRange(40, 350), new WindowRange(40, 80));

    /// <summary>The same with 135..215 HU for green, as Google's serving code has it.</summary>
    public static GreyWindow CtServing { get; } = new("ct-serving", new WindowRange(0, 2048), new WindowRange(175, 80), new WindowRange(40, 80));

    /// <summary>From the smallest to the largest value; of a series or a volume, over all of it.</summary>
    public static GreyWindow Full { get; } = new("full");

    /// <summary>The window that the file itself asks for, the first of several; where it has none, the table (VOI LUT).</summary>
    public static GreyWindow OfFile { get; } = new("file") { OwnIndex = 0 };

    /// <summary>The table of grey values (VOI LUT) of a DICOM file, also where it has a window.</summary>
    public static GreyWindow Table { get; } = new("lut");

    /// <summary>Values of 8 bits as they are.</summary>
    internal static GreyWindow Unchanged { get; } = new("unchanged");

    // Usual settings of reading rooms (radiopaedia.org, "Windowing (CT)").
    private static readonly GreyWindow[] Named =
    [
        Ct, CtServing, Full, OfFile, Table,
        new("lung", new WindowRange(-600, 1500)), new("mediastinum", new WindowRange(50, 350)), new("abdomen", new WindowRange(50, 400)), new("liver", new WindowRange(30, 150)),
        new("bone", new WindowRange(400, 1800)), new("brain", new WindowRange(40, 80)), new("subdural", new WindowRange(75, 215)),
    ];

    /// <summary>Its name, or CENTRE/WIDTH.</summary>
    public string Name { get; }

    /// <summary>One range, or three for red, green and blue; none where the picture decides.</summary>
    internal IReadOnlyList<WindowRange> Channels { get; }

    /// <summary>Which of the file's own windows, from 0; null where it is none of them.</summary>
    internal int? OwnIndex { get; private init; }

    /// <summary>What can be asked for.</summary>
    public static string Known { get; } = string.Join(", ", Named.Select(window => window.Name)) + $", {OwnPrefix}2 (the file's second), or CENTRE/WIDTH";

    /// <summary>The windows that have a meaning in Hounsfield units.</summary>
    internal static IEnumerable<GreyWindow> Hounsfield => Named.Where(window => window.Channels.Count > 0);

    /// <summary>One of the file's own windows.</summary>
    /// <param name="index">From 0.</param>
    internal static GreyWindow Own(int index) => index == 0 ? OfFile : new GreyWindow(FormattableString.Invariant($"{OwnPrefix}{index + 1}")) { OwnIndex = index };

    /// <summary>A window by its name, as one of the file's own, e.g. <c>file:2</c>, or as CENTRE/WIDTH, e.g. <c>-600/1500</c>.</summary>
    /// <exception cref="InputException">Neither.</exception>
    public static GreyWindow Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Array.Find(Named, window => window.Name == text) is { } named) return named;
        if (text.StartsWith(OwnPrefix, StringComparison.Ordinal) && int.TryParse(text.AsSpan(OwnPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int own) && own > 0) return Own(own - 1);
        string[] numbers = text.Split('/');
        if (numbers.Length == 2 && TryRead(numbers[0], out double centre) && TryRead(numbers[1], out double width) && width >= 1)
            return new GreyWindow(text, new WindowRange(centre, width));
        throw new InputException($"window '{text}' is unknown; expected {Known}");
    }

    /// <summary>Windows of one name are one window.</summary>
    public bool Equals(GreyWindow? other) => other is not null && other.Name == Name;

    /// <inheritdoc/>
    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);

    private static bool TryRead(string text, out double number) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);
}

/// <summary>
/// A stretch of values that becomes 0 to 255: the centre plus and minus half the width, which is rounded down, as in Google's code for MedGemma
/// (<c>window_accurate</c>); the standard's own formula (PS3.3, C.11.2.1.2) differs by half a value. Rounded half to even.
/// </summary>
/// <param name="Centre">The value that becomes middle grey.</param>
/// <param name="Width">Values from black to white, at least 1.</param>
/// <param name="IsSigmoid">The S-shaped curve of the standard instead of the straight line.</param>
internal readonly record struct WindowRange(double Centre, double Width, bool IsSigmoid = false)
{
    /// <summary>
    /// From the smallest value, black, to the largest, white. The product is taken in the order of Google's code for MR, and values that are all the same are white as there.
    /// </summary>
    public static Func<double, byte> Stretch(double smallest, double largest) => largest > smallest
        ? value => Byte((value - smallest) / (largest - smallest) * 255)
        : _ => 255;

    /// <summary>What a value becomes; the product is taken in the order of NumPy's <c>interp</c>, which Google's code uses here.</summary>
    public Func<double, byte> Curve()
    {
        (double centre, double width) = (Centre, Width);
        if (IsSigmoid) return value => Byte(255 / (1 + Math.Exp(-4 * (value - centre) / width)));
        double half = Math.Floor(width / 2), low = centre - half, high = centre + half, slope = 255 / (high - low);
        return value => value >= high ? (byte)255 : value <= low ? (byte)0 : Byte(slope * (value - low));
    }

    private static byte Byte(double value) => (byte)Math.Clamp(Math.Round(value, MidpointRounding.ToEven), 0, 255);
}
