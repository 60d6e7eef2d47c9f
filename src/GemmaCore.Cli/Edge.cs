using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Cuda;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>Where the outside meets the program: usage errors, exceptions, Ctrl-C. Exit codes: 0 success, 1 failure, 2 usage.</summary>
internal static class Edge
{
    private static readonly CancellationTokenSource Interrupt = new();

    /// <summary>Cancelled by the first Ctrl-C; the second one ends the process.</summary>
    public static CancellationToken Interrupted => Interrupt.Token;

    public static int Run(RootCommand root, string[] args)
    {
        Console.CancelKeyPress += OnInterrupt;
        string[] normalised = [.. args.Select(KebabCase)];
        ParseResult parsed = root.Parse(normalised);
        bool json = normalised.Contains("--json");
        if (parsed.Errors.Count > 0) return Fail(Usage(parsed, normalised), 2, json);
        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception error) when (!EnvironmentVariables.Trace)
        {
            return Fail(Describe(error), error is UsageException ? 2 : 1, json);
        }
    }

    // With --json a reader of stdout gets a document in any case.
    private static int Fail(string message, int exitCode, bool json)
    {
        Console.Error.WriteLine("gemmacore: " + message);
        if (json) Console.WriteLine(new JsonObject { ["error"] = message, ["exit_code"] = exitCode }.ToJsonString());
        return exitCode;
    }

    // One clear line for what users can cause; for anything else a hint how to see more.
    private static string Describe(Exception error) => error switch
    {
        AggregateException { InnerException: { } inner } => Describe(inner),
        CheckpointException or CudaException or InputException or ShapeException or ConfigurationException or DatasetException or EvaluationException or UsageException
            or ArgumentException or IOException or UnauthorizedAccessException or NotSupportedException or InvalidOperationException => OneLine(error.Message),
        OutOfMemoryException => "out of memory; use a smaller batch or shorter prompts",
        OperationCanceledException => "cancelled",
        _ => $"{error.GetType().Name}: {OneLine(error.Message)} (set GEMMACORE_TRACE=1 to see where)",
    };

    private static string OneLine(string message) => message.ReplaceLineEndings(" ").Replace("\t", "", StringComparison.Ordinal);

    private static string Usage(ParseResult parsed, string[] args)
    {
        if (args.Length == 0) return "say what to do: gemmacore -h lists the commands";
        if (parsed.UnmatchedTokens.Count == 0) return Complaint(parsed.Errors[0]);
        return Unknown(parsed.UnmatchedTokens[0], parsed.CommandResult.Command);
    }

    // The library's complaint about a value names a .NET type.
    private static string Complaint(ParseError error)
    {
        if (error.SymbolResult is not OptionResult { Option: { } option, Tokens: [{ Value: { } value }, ..] } || !error.Message.Contains("System.", StringComparison.Ordinal)) return OneLine(error.Message);
        Type type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        string expected = type == typeof(int) || type == typeof(long) ? "a whole number" : type == typeof(ulong) ? "a whole number from 0" : type == typeof(bool) ? "true or false" : "a number";
        return $"{option.Name} {value}: expected {expected}";
    }

    /// <summary>The complaint about a flag or verb that a command does not have.</summary>
    public static string Unknown(string unknown, Command command)
    {
        IEnumerable<string> known = unknown.StartsWith('-') ? command.Options.Select(option => option.Name) : command.Subcommands.Select(verb => verb.Name);
        string nearest = Spelling.Nearest(unknown, known);
        return $"'{unknown}' is unknown here{(nearest.Length > 0 ? $"; did you mean '{nearest}'?" : "")}";
    }

    // Flags may be spelled with underscores, as Python tools do.
    private static string KebabCase(string argument)
    {
        if (!argument.StartsWith("--", StringComparison.Ordinal)) return argument;
        int end = argument.IndexOf('=', StringComparison.Ordinal);
        return end < 0 ? argument.Replace('_', '-') : argument[..end].Replace('_', '-') + argument[end..];
    }

    private static void OnInterrupt(object? sender, ConsoleCancelEventArgs signal)
    {
        if (Interrupt.IsCancellationRequested)
        {
            NewFolder.Abandon();
            Environment.Exit(130);
        }

        signal.Cancel = true;
        Interrupt.Cancel();
        Console.Error.WriteLine("\ngemmacore: finishing the step; press Ctrl-C again to stop at once");
    }
}

/// <summary>The command line makes no sense.</summary>
internal sealed class UsageException(string message) : Exception(message);
