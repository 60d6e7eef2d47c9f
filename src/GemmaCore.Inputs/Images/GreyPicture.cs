using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Inputs;

/// <summary>A grey picture with more than 8 bits, or one whose values mean something, before it is decided which become black and white.</summary>
internal sealed record GreyPicture
{
    /// <summary>For complaints.</summary>
    public required string Name { get; init; }

    public required int Width { get; init; }

    public required int Height { get; init; }

    /// <summary>[Height, Width]: Hounsfield units of CT, else what the file's numbers stand for.</summary>
    public required double[] Values { get; init; }

    /// <summary>The windows that the file asks for, the most important one first.</summary>
    public IReadOnlyList<OwnWindow> OwnWindows { get; init; } = [];

    /// <summary>Reads the table from values to grey that the file asks for; null for none.</summary>
    public Func<LookUpTable>? OwnTable { get; init; }

    /// <summary>What is done where no window is asked for.</summary>
    public required GreyWindow DefaultWindow { get; init; }

    /// <summary>Smallest and largest value of the series or volume that the picture belongs to; null to look at the picture alone.</summary>
    public (double Smallest, double Largest)? Extent { get; init; }

    /// <summary>Low values are bright: everything is inverted at the end.</summary>
    public bool IsInverted { get; init; }

    /// <summary>The picture through a window.</summary>
    /// <exception cref="InputException">The file has no window or table of its own, or a damaged one, and that one was asked for.</exception>
    public RgbImage Show(GreyWindow? window)
    {
        window ??= DefaultWindow;
        Func<double, byte>[] curves = Curves(window);
        var pixels = new byte[3 * Values.Length];
        byte flip = IsInverted && curves.Length == 1 ? (byte)255 : (byte)0;
        for (int i = 0; i < Values.Length; i++)
        {
            if (curves.Length == 1)
            {
                pixels.AsSpan(3 * i, 3).Fill((byte)(curves[0](Values[i]) ^ flip));
                continue;
            }

            for (int channel = 0; channel < 3; channel++) pixels[3 * i + channel] = curves[channel](Values[i]);
        }

        return new RgbImage(Width, Height, pixels);
    }

    /// <summary>The one range of values that a window shows; null where it shows three, a table's values, or bytes as they are.</summary>
    public WindowRange? Range(GreyWindow window)
    {
        if (window == GreyWindow.Full) return new WindowRange((Ends.Smallest + Ends.Largest) / 2, Ends.Largest - Ends.Smallest);
        if (window.OwnIndex is { } index) return index < OwnWindows.Count ? OwnWindows[index].Range : null;
        return window.Channels is [var only] ? only : null;
    }

    private (double Smallest, double Largest) Ends => Extent ?? (Values.Min(), Values.Max());

    private Func<double, byte>[] Curves(GreyWindow window)
    {
        if (window == GreyWindow.Unchanged) return [value => (byte)Math.Clamp(value, 0, 255)];
        if (window == GreyWindow.Full) return [WindowRange.Stretch(Ends.Smallest, Ends.Largest)];
        if (window.OwnIndex is not { } index) return window == GreyWindow.Table ? [TableOr("table of grey values (VOI LUT)")] : [.. window.Channels.Select(range => range.Curve())];
        if (index < OwnWindows.Count) return [OwnWindows[index].Range.Curve()];
        if (index == 0) return [TableOr("window")];
        throw new InputException($"{Name}: has {OwnWindows.Count} windows of its own, and '{window.Name}' was asked for");
    }

    private Func<double, byte> TableOr(string what) => OwnTable is { } read
        ? read().Grey
        : throw new InputException($"{Name}: has no {what} of its own; use 'full', a window of the list, or CENTRE/WIDTH");
}

/// <summary>A window that a file asks for.</summary>
/// <param name="Range">Its values.</param>
/// <param name="Label">What the file calls it, e.g. LUNG; empty for nothing.</param>
internal sealed record OwnWindow(WindowRange Range, string Label);
