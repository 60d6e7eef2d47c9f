namespace GemmaCore.Generation.Tests;

public sealed class FairQueueTests
{
    [Fact]
    public void A_tenant_with_one_request_does_not_wait_behind_all_of_another()
    {
        var queue = new FairQueue<string>();
        for (int i = 0; i < 5; i++) queue.Add("many", "m" + i, 100);
        Assert.Equal("m0", queue.Take());
        queue.Add("one", "o0", 100);
        Assert.Equal(["o0", "m1", "m2", "m3", "m4"], TakeAll(queue));
    }

    [Fact]
    public void Turns_are_counted_in_cost_and_not_in_requests()
    {
        var queue = new FairQueue<string>();
        for (int i = 0; i < 2; i++) queue.Add("large", "L" + i, 300);
        for (int i = 0; i < 6; i++) queue.Add("small", "s" + i, 100);
        Assert.Equal(["L0", "s0", "s1", "s2", "L1", "s3", "s4", "s5"], TakeAll(queue));
    }

    [Fact]
    public void A_tenant_that_was_away_starts_level_with_those_who_wait()
    {
        var queue = new FairQueue<string>();
        for (int i = 0; i < 4; i++) queue.Add("steady", "s" + i, 100);
        queue.Add("guest", "g0", 100);
        Assert.Equal(["s0", "g0", "s1", "s2"], [queue.Take(), queue.Take(), queue.Take(), queue.Take()]);
        queue.Add("guest", "g1", 100);
        queue.Add("guest", "g2", 100);
        // Not both at once for the turns that the guest did not use.
        Assert.Equal(["g1", "s3", "g2"], TakeAll(queue));
    }

    [Fact]
    public void What_is_removed_is_handed_out_once_and_not_taken()
    {
        var queue = new FairQueue<string>();
        foreach (string item in (string[])["a1", "b1", "a2", "b2"]) queue.Add(item[..1], item, 1);
        var removed = new List<string>();
        queue.Remove(item => item.EndsWith('1'), removed.Add);
        Assert.Equal(["a1", "b1"], removed.Order());
        Assert.Equal(2, queue.Count);
        Assert.Equal(["a2", "b2"], TakeAll(queue));
        Assert.Null(queue.Peek());
        Assert.Throws<InvalidOperationException>(() => queue.Take());
    }

    private static List<string> TakeAll(FairQueue<string> queue)
    {
        var taken = new List<string>();
        while (queue.Count > 0) taken.Add(queue.Take());
        return taken;
    }
}
