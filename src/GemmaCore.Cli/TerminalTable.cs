using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>A table on standard output, one line a row wherever it goes.</summary>
internal static class TerminalTable
{
    // A pipe has no width of its own, and a wrapped table is no table for grep.
    private const int PipeWidth = 200;

    public static void Write(Table table)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = PipeWidth;
        AnsiConsole.Write(table);
    }
}
