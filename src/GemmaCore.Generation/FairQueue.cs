namespace GemmaCore.Generation;

/// <summary>
/// Waiting work of several tenants: the next is the first of the tenant that has been given the least so far. A tenant that comes (back) starts level with
/// those who wait, so that no one can save up turns. Start-time fair queueing (Goyal, Vin, Cheng, 1996) with equal weights.
/// </summary>
/// <typeparam name="T">Work items.</typeparam>
internal sealed class FairQueue<T> where T : class
{
    private readonly Dictionary<string, Tenant> _tenants = [];
    private double _now;

    /// <summary>Items waiting.</summary>
    public int Count { get; private set; }

    /// <summary>Adds an item of a tenant.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="item">The work.</param>
    /// <param name="cost">What it will take, in any unit; above 0.</param>
    public void Add(string tenant, T item, long cost)
    {
        if (!_tenants.TryGetValue(tenant, out Tenant? queue)) _tenants.Add(tenant, queue = new Tenant { Served = _now });
        queue.Items.Enqueue((item, cost));
        Count++;
    }

    /// <summary>The item whose turn it is, without taking it; null when none waits.</summary>
    public T? Peek() => Next().Tenant?.Items.Peek().Item;

    /// <summary>Takes the item whose turn it is and charges its tenant.</summary>
    /// <exception cref="InvalidOperationException">None waits.</exception>
    public T Take()
    {
        (string name, Tenant? tenant) = Next();
        if (tenant is null) throw new InvalidOperationException("nothing waits");
        (T item, long cost) = tenant.Items.Dequeue();
        _now = tenant.Served;
        tenant.Served += cost;
        // A tenant without work is forgotten: its account is worth nothing but a debt, which Add would renew no higher than anyone else's.
        if (tenant.Items.Count == 0) _tenants.Remove(name);
        Count--;
        return item;
    }

    /// <summary>Removes items that <paramref name="match"/>, and hands each to <paramref name="removed"/>.</summary>
    public void Remove(Predicate<T> match, Action<T> removed)
    {
        foreach ((string name, Tenant tenant) in _tenants)
        {
            for (int i = tenant.Items.Count; i > 0; i--)
            {
                (T Item, long Cost) entry = tenant.Items.Dequeue();
                if (!match(entry.Item))
                {
                    tenant.Items.Enqueue(entry);
                    continue;
                }

                Count--;
                removed(entry.Item);
            }

            if (tenant.Items.Count == 0) _tenants.Remove(name);
        }
    }

    private (string Name, Tenant? Tenant) Next()
    {
        (string Name, Tenant? Tenant) best = ("", null);
        foreach ((string name, Tenant tenant) in _tenants)
            if (best.Tenant is null || tenant.Served < best.Tenant.Served) best = (name, tenant);
        return best;
    }

    private sealed class Tenant
    {
        public Queue<(T Item, long Cost)> Items { get; } = new();

        public double Served { get; set; }
    }
}
