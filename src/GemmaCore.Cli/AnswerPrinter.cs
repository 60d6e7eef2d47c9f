using GemmaCore.Generation;

namespace GemmaCore.Cli;

/// <summary>Prints an answer as it comes: what is said to stdout, and what was thought before it to stderr, so that a pipe gets the answer alone.</summary>
internal sealed class AnswerPrinter
{
    private readonly ThoughtReader _reader = new();
    private bool _thinks;

    /// <summary>Prints what has become certain.</summary>
    public void Print(string text) => Print(_reader.Push(text));

    /// <summary>Prints what was held back, and ends the line.</summary>
    public void End()
    {
        Print(_reader.Finish());
        EndThought();
        Console.WriteLine();
    }

    private void Print((string Thought, string Answer) parts)
    {
        if (parts.Thought.Length > 0)
        {
            Console.Error.Write(_thinks ? parts.Thought : $"thought: {parts.Thought}");
            _thinks = true;
        }

        if (parts.Answer.Length == 0) return;
        EndThought();
        Console.Write(parts.Answer);
    }

    private void EndThought()
    {
        if (_thinks) Console.Error.WriteLine();
        _thinks = false;
    }
}
