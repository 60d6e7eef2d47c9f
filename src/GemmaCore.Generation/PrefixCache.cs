using GemmaCore.Models;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>
/// Keys and values of what prompts begin with, part by part, to be taken over by later prompts that begin alike: a picture that is asked about again, the turns of
/// a conversation so far. Who takes a part over gets the very numbers that computing it would have given. Not thread-safe.
/// </summary>
internal sealed class PrefixCache : IDisposable
{
    private readonly Dictionary<PrefixKey, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _recency = new(); // last used first

    private sealed record Entry(PrefixKey Key, KvSegment Segment, LinkedListNode<Entry>? Parent);

    /// <summary>Memory of all parts.</summary>
    public long Bytes { get; private set; }

    /// <summary>The part that ends a prefix, or null. It and those in front of it count as used.</summary>
    public KvSegment? Find(PrefixKey key)
    {
        if (!_entries.TryGetValue(key, out LinkedListNode<Entry>? node)) return null;
        Touch(node);
        return node.Value.Segment;
    }

    /// <summary>True when the part that ends a prefix is there.</summary>
    public bool Contains(PrefixKey key) => _entries.ContainsKey(key);

    /// <summary>Keeps a part, which is then the cache's own.</summary>
    public void Add(PrefixKey key, PrefixKey? before, KvSegment segment)
    {
        LinkedListNode<Entry>? parent = before is { } front ? _entries[front] : null;
        LinkedListNode<Entry> node = _recency.AddFirst(new Entry(key, segment, parent));
        _entries.Add(key, node);
        Bytes += segment.Bytes;
        Touch(node);
    }

    /// <summary>Gives up the part that has not been used for the longest time; false when there is none.</summary>
    public bool ForgetOldest()
    {
        if (_recency.Last is not { } oldest) return false;
        Remove(oldest);
        return true;
    }

    /// <summary>Gives up what an adapter has computed.</summary>
    public void Forget(LoraAdapter adapter)
    {
        for (LinkedListNode<Entry>? node = _recency.First; node is not null;)
        {
            LinkedListNode<Entry>? next = node.Next;
            if (node.Value.Key.Adapter == adapter) Remove(node);
            node = next;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (ForgetOldest())
        {
        }
    }

    // What is in front of a part has been used later than the part, so that the oldest is never in front of another.
    private void Touch(LinkedListNode<Entry> node)
    {
        for (LinkedListNode<Entry>? at = node; at is not null; at = at.Value.Parent)
        {
            _recency.Remove(at);
            _recency.AddFirst(at);
        }
    }

    private void Remove(LinkedListNode<Entry> node)
    {
        _recency.Remove(node);
        _entries.Remove(node.Value.Key);
        Bytes -= node.Value.Segment.Bytes;
        node.Value.Segment.Dispose();
    }
}
