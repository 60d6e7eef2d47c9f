using System.Threading.Channels;

namespace GemmaCore.Generation;

/// <summary>An answer on its way.</summary>
public sealed class PendingAnswer
{
    private readonly Channel<GeneratedToken> _tokens = Channel.CreateUnbounded<GeneratedToken>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource<GenerationResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile Sequence? _sequence;

    internal PendingAnswer(GenerationRequest request) => Request = request;

    /// <summary>What was asked.</summary>
    public GenerationRequest Request { get; }

    /// <summary>The tokens as they come; ends with the answer, without an error of its own.</summary>
    public ChannelReader<GeneratedToken> Tokens => _tokens.Reader;

    /// <summary>The whole answer; faulted when there is none. A cancelled one is complete, with <see cref="FinishReason.Cancelled"/>.</summary>
    public Task<GenerationResult> Result => _result.Task;

    /// <summary>True while it is being answered; false while it waits, before that or because it had to step back, and when it has ended.</summary>
    public bool IsUnderWay => _sequence?.Cache is not null;

    internal void Begin(Sequence sequence) => _sequence = sequence;

    internal void Write(GeneratedToken token) => _tokens.Writer.TryWrite(token);

    internal void End(Sequence sequence)
    {
        if (sequence.Failure is { } failure) Fail(failure);
        else
        {
            _result.TrySetResult(sequence.Result());
            _tokens.Writer.TryComplete();
        }
    }

    internal void Fail(Exception error)
    {
        _result.TrySetException(error);
        _ = _result.Task.Exception; // observed: a reader who has left does not come for it
        _tokens.Writer.TryComplete();
    }
}
