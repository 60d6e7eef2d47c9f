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

    /// <summary>The window that the file asks for; null for none.</summary>
    public WindowRange? OwnWindow { get; init; }

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

    private Func<double, byte>[] Curves(GreyWindow window)
    {
        if (window == GreyWindow.Unchanged) return [value => (byte)Math.Clamp(value, 0, 255)];
        if (window == GreyWindow.OfFile && OwnWindow is { } own) return [own.Curve()];
        if (window == GreyWindow.OfFile || window == GreyWindow.Table)
        {
            if (OwnTable is { } table) return [table().Grey];
            throw new InputException($"{Name}: has no {(window == GreyWindow.Table ? "table of grey values (VOI LUT)" : "window")} of its own; use 'full', a window of the list, or CENTRE/WIDTH");
        }

        if (window != GreyWindow.Full) return [.. window.Channels.Select(range => range.Curve())];
        (double smallest, double largest) = Extent ?? (Values.Min(), Values.Max());
        return [WindowRange.Stretch(smallest, largest)];
    }
}
