using System.Globalization;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>Amounts of memory as people write them.</summary>
public static class MemorySize
{
    private static readonly (string Unit, double Bytes)[] Units =
        [("GiB", 1L << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("G", 1L << 30), ("M", 1 << 20), ("B", 1)];

    /// <summary>Reads e.g. <c>4GB</c>, <c>3.4 GiB</c>, <c>900MB</c>.</summary>
    /// <param name="text">A number and a unit, or bytes; 0 for no limit.</param>
    /// <param name="name">Of the setting, for messages.</param>
    /// <exception cref="ConfigurationException">It is neither.</exception>
    public static long Parse(string text, string name)
    {
        ArgumentNullException.ThrowIfNull(text);
        string trimmed = text.Trim();
        // Plain bytes, as a resolved configuration has them; a bare "4" is more likely a forgotten unit.
        if (long.TryParse(trimmed, NumberStyles.None, CultureInfo.InvariantCulture, out long plain) && plain is 0 or (>= 1 << 20 and < 1L << 50)) return plain;
        foreach ((string unit, double bytes) in Units)
        {
            if (!trimmed.EndsWith(unit, StringComparison.OrdinalIgnoreCase)) continue;
            if (!double.TryParse(trimmed[..^unit.Length].Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)) break;
            if (number > 0 && number * bytes < 1L << 50) return (long)(number * bytes);
        }

        throw new ConfigurationException($"{name}: expected an amount such as 4GB or 3.4GiB, got '{text}'");
    }

    /// <summary>An amount in three digits, e.g. <c>3.41 GB</c>.</summary>
    public static string Format(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F2} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:F1} kB"),
    };
}
