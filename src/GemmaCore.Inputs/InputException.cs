namespace GemmaCore.Inputs;

/// <summary>Something the user handed in (tokenizer file, conversation, picture, setting) cannot be used; the message is one clear line.</summary>
public sealed class InputException : Exception
{
    /// <summary>An input error with its one-line message.</summary>
    public InputException(string message) : base(message) { }

    /// <summary>An input error with its one-line message and what lies under it.</summary>
    public InputException(string message, Exception innerException) : base(message, innerException) { }
}
