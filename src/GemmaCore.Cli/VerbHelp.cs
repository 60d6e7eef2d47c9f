using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace GemmaCore.Cli;

/// <summary>
/// Help that fits a terminal: the list of verbs shows a sentence each, a verb's own help ends with its examples. They are printed as they are, because a line
/// broken for a narrow terminal could not be pasted back.
/// </summary>
internal sealed class VerbHelp(HelpAction help) : SynchronousCommandLineAction
{
    private const string Marker = "Examples:";

    /// <summary>Takes the place of the default help of every command.</summary>
    public static void Install(RootCommand root)
    {
        HelpOption option = root.Options.OfType<HelpOption>().Single();
        option.Action = new VerbHelp((HelpAction)option.Action!);
    }

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        Command command = parseResult.CommandResult.Command;
        (command.Description, string examples) = Split(command.Description ?? "");
        foreach (Command verb in command.Subcommands) verb.Description = FirstSentence(Split(verb.Description ?? "").Text);
        foreach (Option option in command.Options)
            if (option.ValueType is { } type && (Nullable.GetUnderlyingType(type) ?? type) is var value && value.IsPrimitive && value != typeof(bool)) option.HelpName = "n";
        int code = help.Invoke(parseResult);
        if (examples.Length > 0) parseResult.InvocationConfiguration.Output.WriteLine(examples);
        return code;
    }

    private static (string Text, string Examples) Split(string description)
    {
        int at = description.IndexOf(Marker, StringComparison.Ordinal);
        string text = at < 0 ? description : description[..at].TrimEnd();
        // The terminal's width decides where lines end, not the source's.
        return (text.ReplaceLineEndings(" "), at < 0 ? "" : description[at..]);
    }

    private static string FirstSentence(string text)
    {
        int end = text.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? text : text[..(end + 1)];
    }
}
