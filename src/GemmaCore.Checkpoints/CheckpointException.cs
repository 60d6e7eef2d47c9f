namespace GemmaCore.Checkpoints;

/// <summary>A checkpoint, adapter or model configuration is unusable. The message names file, tensor or key, what was expected and what came.</summary>
public sealed class CheckpointException : Exception
{
    // Names and values in messages come from files that may be hostile; a message is one line of bearable length all the same.
    private const int LongestMessage = 2000;

    /// <summary>Creates the exception with its message, made one line.</summary>
    public CheckpointException(string message) : base(OneLine(message)) { }

    /// <summary>Creates the exception with its message, made one line, and its cause.</summary>
    public CheckpointException(string message, Exception cause) : base(OneLine(message), cause) { }

    private static string OneLine(string message)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (message.Length > LongestMessage) message = message[..LongestMessage] + "…";
        return message.Any(char.IsControl) ? string.Concat(message.Select(c => char.IsControl(c) ? '\uFFFD' : c)) : message;
    }
}
