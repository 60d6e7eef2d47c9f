using GemmaCore.Checkpoints.Hub;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests.Hub;

public sealed class HubResumeTests : IDisposable
{
    private readonly HubFixture _hub = new();

    private byte[] Bytes => _hub.Hub.Files[HubFixture.Weights];

    private IEnumerable<HubCall> WeightCalls => _hub.Hub.Calls.Where(IsWeights);

    public void Dispose() => _hub.Dispose();

    [Fact]
    public async Task A_cut_connection_is_gone_on_with_from_the_byte_where_it_was_cut()
    {
        _hub.Hub.Intercept = call => IsWeights(call) && call.Start is null ? new HubReply(200, Bytes) { CutAfter = 300_000 } : null;
        HubSnapshot snapshot = await _hub.DownloadAsync();
        _hub.AssertComplete();
        Assert.Equal([null, 300_000], WeightCalls.Select(call => call.Start));
        Assert.Equal(snapshot.TotalBytes, snapshot.ReceivedBytes);
    }

    [Fact]
    public async Task A_connection_cut_again_and_again_is_gone_on_with_as_long_as_bytes_come()
    {
        _hub.Hub.Intercept = call =>
        {
            int start = (int)(call.Start ?? 0), rest = Bytes.Length - start;
            return !IsWeights(call) || rest <= 50_000 ? null : Part(start) with { CutAfter = 50_000 };
        };
        await _hub.DownloadAsync();
        _hub.AssertComplete();
        Assert.Equal(15, WeightCalls.Count());
    }

    [Fact]
    public async Task A_new_run_goes_on_with_what_the_last_one_left()
    {
        _hub.LeaveIncomplete(HubFixture.Weights, Bytes.AsSpan(0, 123_456));
        await _hub.DownloadAsync();
        _hub.AssertComplete();
        Assert.Equal([123_456], WeightCalls.Select(call => call.Start));
    }

    [Fact]
    public async Task A_file_left_with_all_its_bytes_needs_no_request()
    {
        _hub.LeaveIncomplete(HubFixture.Weights, Bytes);
        await _hub.DownloadAsync();
        _hub.AssertComplete();
        Assert.Empty(WeightCalls);
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(700_001)]
    [InlineData(900_000)]
    public async Task Wrong_bytes_of_an_earlier_run_are_found_out_and_thrown_away(int count)
    {
        _hub.LeaveIncomplete(HubFixture.Weights, new byte[count]);
        await _hub.DownloadAsync();
        _hub.AssertComplete();
    }

    [Fact]
    public async Task A_server_that_ignores_the_range_is_read_from_the_beginning()
    {
        _hub.Hub.IgnoresRange = true;
        _hub.LeaveIncomplete(HubFixture.Weights, Bytes.AsSpan(0, 123_456));
        var notes = new List<string>();
        await _hub.DownloadAsync(progress: moment =>
        {
            if (moment.Note is { } note) notes.Add(note);
        });
        _hub.AssertComplete();
        Assert.Single(WeightCalls);
        Assert.Single(notes, note => note.Contains("starting over", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(416)]
    [InlineData(206)]
    public async Task A_server_that_cannot_go_on_is_asked_from_the_beginning(int status)
    {
        _hub.LeaveIncomplete(HubFixture.Weights, Bytes.AsSpan(0, 1000));
        // 206 with another range than the one asked for.
        _hub.Hub.Intercept = call => IsWeights(call) && call.Start is not null ? Part(2000) with { Status = status } : null;
        await _hub.DownloadAsync();
        _hub.AssertComplete();
        Assert.Equal([1000, null], WeightCalls.Select(call => call.Start));
    }

    [Fact]
    public async Task A_connection_that_always_breaks_at_the_same_byte_is_given_up_and_what_came_is_kept()
    {
        _hub.Hub.Intercept = call => IsWeights(call) ? new HubReply(200, Bytes) { CutAfter = 100_000 } : null;
        string complaint = await _hub.ComplaintAsync();
        Assert.Contains("gave up after 5 attempts", complaint, StringComparison.Ordinal);
        Assert.Equal(Bytes[..100_000], File.ReadAllBytes(_hub.Incomplete(HubFixture.Weights)));
        Assert.False(File.Exists(Path.Combine(_hub.Snapshot, HubFixture.Weights)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100_000)]
    public async Task Silence_counts_as_a_cut(int bytesBefore)
    {
        var end = new TaskCompletionSource();
        int count = 0;
        _hub.Hub.Intercept = call => !IsWeights(call) || Interlocked.Increment(ref count) > 1 ? null
            : bytesBefore == 0 ? new HubReply(200, Bytes) { SilentBefore = end.Task }
            : new HubReply(200, Bytes) { CutAfter = bytesBefore, SilentAfter = end.Task };
        var notes = new List<string>();
        await HubFixture.DownloadAsync(_hub.Settings(stallMs: 2000), progress: moment =>
        {
            if (moment.Note is { } note) notes.Add(note);
        });
        end.SetResult();
        _hub.AssertComplete();
        Assert.Contains(notes, note => note.Contains("nothing came for 2 s", StringComparison.Ordinal));
        Assert.Equal(bytesBefore == 0 ? null : bytesBefore, WeightCalls.ElementAt(1).Start);
    }

    [Fact]
    public async Task Cancelling_keeps_what_has_come()
    {
        _hub.Hub.Intercept = call => IsWeights(call) ? new HubReply(200, Bytes) { CutAfter = 200_000 } : null;
        using var cancel = new CancellationTokenSource();
        using var client = new HubClient(_hub.Settings());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.DownloadAsync(new HubRequest(LoopbackHub.Repository), moment =>
        {
            if (moment is { File: HubFixture.Weights, Bytes: 200_000 }) cancel.Cancel();
        }, cancel.Token));
        Assert.Equal(Bytes[..200_000], File.ReadAllBytes(_hub.Incomplete(HubFixture.Weights)));
        _hub.Hub.Intercept = _ => null;
        await _hub.DownloadAsync();
        _hub.AssertComplete();
    }

    private static bool IsWeights(HubCall call) => call.Path.EndsWith(HubFixture.Weights, StringComparison.Ordinal);

    private HubReply Part(int start) => start == 0
        ? new HubReply(200, Bytes)
        : new HubReply(206, Bytes[start..]) { Headers = $"Content-Range: bytes {start}-{Bytes.Length - 1}/{Bytes.Length}\r\n" };
}
