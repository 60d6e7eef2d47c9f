namespace GemmaCore.Cli;

/// <summary>A line of a report, name and value; on a terminal the value is broken between words and goes on under its beginning.</summary>
internal static class LabelledLine
{
    private const int LabelWidth = 18;

    public static void Write(string label, string value)
    {
        int room = Console.IsOutputRedirected ? int.MaxValue : Console.WindowWidth - LabelWidth - 1;
        foreach (string part in Parts(value, room))
        {
            Console.WriteLine(label.PadRight(LabelWidth) + part);
            label = "";
        }
    }

    /// <summary>The text in parts of at most <paramref name="room"/> characters where its words allow it.</summary>
    internal static IEnumerable<string> Parts(string text, int room)
    {
        while (room > 0 && text.Length > room)
        {
            int end = text.LastIndexOf(' ', room);
            if (end < 0) end = text.IndexOf(' ', StringComparison.Ordinal);
            if (end <= 0) break;
            yield return text[..end];
            text = text[(end + 1)..];
        }

        yield return text;
    }
}
